"""Feast in an environment of its own: made once in `.venv` beside this file, then asked over pipes.

Headset and Feast pin different versions of the same libraries, so they cannot share one. `requirements.txt` pins
Feast's, with hashes; `uv pip compile --universal --generate-hashes` made it of `requirements.in`.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

FOLDER = Path(__file__).parent
PINNED = FOLDER / "requirements.txt"
HOME = FOLDER / ".venv"
PYTHON = HOME / "bin" / "python"
INSTALL_S = 900


class NoFeast(Exception):
    """Feast cannot be installed or does not answer; the message says why."""


class Feast:
    """A script of this folder, running in Feast's environment; it answers a line of JSON with a line of JSON.

    Args:
        script: Its file name.
        settings: Its first line.

    Raises:
        NoFeast: it could not be installed or started.
    """

    def __init__(self, script: str, settings: dict[str, Any]) -> None:
        install()
        environment = {**os.environ, "FEAST_USAGE": "False"}
        self._process = subprocess.Popen(
            [str(PYTHON), "-W", "ignore", str(FOLDER / script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=settings.get("folder"),  # Feast leaves files where it runs
        )
        self.ask(**settings)

    def ask(self, **request: object) -> dict[str, Any]:
        """Its answer to ``request``.

        Raises:
            NoFeast: it ended instead; its traceback is on standard error.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())
        except (OSError, ValueError) as error:
            raise NoFeast(f"Feast's process ended with code {self._process.wait(10)}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(60)


def install() -> None:
    """Make the environment, unless it is there with what is pinned.

    Raises:
        NoFeast: a package could not be had.
    """
    pinned = hashlib.sha256(PINNED.read_bytes()).hexdigest()
    stamp = HOME / "installed"
    if stamp.exists() and stamp.read_text() == pinned:
        return
    print("installing Feast in benchmarks/feast/.venv, once", file=sys.stderr, flush=True)
    uv = str(Path(sys.executable).with_name("uv"))
    how = ["--quiet", "--require-hashes", "-r", str(PINNED)]
    _run(sys.executable, "-m", "venv", "--clear", str(HOME))
    try:
        _run(uv, "pip", "install", "--python", str(PYTHON), *how)
    except NoFeast:
        _run(str(PYTHON), "-m", "pip", "install", *how)  # slower, but knows every index set-up
    stamp.write_text(pinned)


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise NoFeast(f"Feast could not be installed: {said[-1] if said else error}") from error
