"""What all commands share: where the home folder is, how results and errors are printed, progress bars."""

from __future__ import annotations

import errno
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console

from headset.core.config import HOME_VARIABLE, Config, load_config
from headset.core.errors import HeadsetError, InvalidInput
from headset.jobs.launcher import PROGRESS_VARIABLE
from headset.jobs.output import progress_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HomeOption = Annotated[Path, typer.Option("--home", envvar=HOME_VARIABLE, help="Folder that holds all state.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
HostOption = Annotated[str | None, typer.Option("--host", help="Address to bind (127.0.0.1 unless configured).")]
PortOption = Annotated[int | None, typer.Option("--port", help="TCP port (8080 unless configured).")]
HOME = Path(".headset")
_TELL_EVERY_S = 0.25

out = Console()
err = Console(stderr=True)


def read_config(home: Path, host: str | None = None, port: int | None = None) -> Config:
    """The configuration of a home folder, with what the command line says."""
    given = {"server.host": host, "server.port": port}
    return load_config(home.absolute(), os.environ, {name: value for name, value in given.items() if value is not None})


def server_variables(config: Config) -> dict[str, str]:
    """The environment that gives a child process the same host and port."""
    return {"HEADSET_SERVER_HOST": config.server.host, "HEADSET_SERVER_PORT": str(config.server.port)}


def server_url(config: Config) -> str:
    """Where the server of this configuration answers."""
    host = config.server.host
    return f"http://{f'[{host}]' if ':' in host else host}:{config.server.port}"


def print_json(value: object) -> None:
    """Print the one JSON value of a command.

    Raises:
        OSError: standard output is closed.
    """
    _write(msgspec.json.encode(value) + b"\n")


def print_text(text: str) -> None:
    """Print a text as it is.

    Raises:
        OSError: standard output is closed.
    """
    _write(text.encode())


def _write(content: bytes) -> None:
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")
    sys.stdout.buffer.write(content)
    sys.stdout.flush()


def check_range(field: str, value: float, limit: float) -> None:
    """Refuse a number that is not above 0 and at most ``limit``.

    Raises:
        InvalidInput: it is not.
    """
    if not 0 < value <= limit:
        raise InvalidInput(field, f"is {value:.12g}; give a number above 0 and at most {limit}")


def fail(error: HeadsetError, code: int, *, wants_json: bool) -> int:
    """Print why a command failed; returns ``code``."""
    if wants_json:
        print_json({"error": str(error), "field": error.field if isinstance(error, InvalidInput) else None})
    else:
        tell(error)
    return code


def tell(error: HeadsetError) -> None:
    """Say on standard error what went wrong."""
    err.print(f"headset: {error}", markup=False, highlight=False, soft_wrap=True)


def _progress_lines() -> Callable[[str, float], None]:
    """Writes a line for each phase and each percent of it, a few in a second at most."""
    told, told_at = ("", -1.0), 0.0

    def tell(phase: str, fraction: float) -> None:
        nonlocal told, told_at
        now, done = time.monotonic(), round(min(max(fraction, 0.0), 1.0), 2)
        if (phase, done) == told or (phase == told[0] and done < 1.0 and now - told_at < _TELL_EVERY_S):
            return
        told, told_at = (phase, done), now
        sys.stderr.write(f"{progress_line(phase, done)}\n")
        sys.stderr.flush()

    return tell


@contextmanager
def progress_bars(*, quiet: bool) -> Iterator[Callable[[str, float], None]]:
    """A bar per phase on standard error; a function of the phase's name and the fraction done.

    In a job it writes lines that the platform reads instead, quiet or not.
    """
    if os.environ.get(PROGRESS_VARIABLE):
        yield _progress_lines()
        return
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    name, share = TextColumn("{task.description:<28}"), TextColumn("{task.percentage:>3.0f}%")
    tasks: dict[str, TaskID] = {}
    with Progress(name, BarColumn(), share, TimeElapsedColumn(), console=err, disable=quiet) as bars:

        def show(phase: str, fraction: float) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=1.0)
            bars.update(tasks[phase], completed=min(max(fraction, 0.0), 1.0))

        yield show
