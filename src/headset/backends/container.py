"""Jobs in containers, by the command line of podman or docker."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from headset.core.config import HOME_VARIABLE
from headset.core.errors import InvalidInput, StorageFailed
from headset.jobs.launcher import ENVIRONMENT, Status, secrets_of
from headset.jobs.manifest import HOME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headset.core.config import JobsConfig
    from headset.jobs.launcher import Attempt
    from headset.jobs.spec import JobSpec

_ENGINES = ("podman", "docker")
_GRACE_S = 10
_PATIENCE_S = 120.0
_SIGNALS = range(129, 193)


class ContainerLauncher:
    """Runs each attempt in a container named by its handle; it is removed once its end and log are kept.

    Args:
        settings: Say which engine, image and network.
        home: The home folder, mounted into every container.
        environ: What the engine's command is run with; secrets are taken from it.

    Raises:
        InvalidInput: there is no engine.
    """

    def __init__(self, settings: JobsConfig, home: Path, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._home = home
        self._environ = environ
        names = (settings.container_engine,) if settings.container_engine else _ENGINES
        found = next((path for name in names if (path := shutil.which(name, path=environ.get("PATH")))), None)
        if found is None:
            raise InvalidInput(
                "launcher", f"'container' needs {' or '.join(names)}, which is not installed; see jobs.container_engine"
            )
        self._engine = found
        self._is_podman = "podman" in Path(found).name

    def check(self, spec: JobSpec) -> None:
        """See :meth:`Launcher.check`."""
        if ":" in str(self._home):
            raise InvalidInput("home", f"{self._home} has a colon in its name and cannot be mounted; choose another")
        if spec.resources.cpus is not None and spec.resources.cpus > (os.cpu_count() or 1):
            raise InvalidInput("resources.cpus", f"is {spec.resources.cpus:g}; this machine has {os.cpu_count()}")

    def start(self, attempt: Attempt) -> None:
        """See :meth:`Launcher.start`."""
        secrets = secrets_of(attempt.spec, self._environ)
        done = self._call(*self._run(attempt), environ=secrets)
        if done.returncode and "in use" in _problem(done):  # an attempt has one container
            if self._state(attempt.handle).get("Status") not in {"created", "configured", "initialized"}:
                return
            done = self._call("start", attempt.handle)
        if done.returncode:
            raise StorageFailed(f"the container cannot be started: {_problem(done)}")

    def poll(self, handle: str) -> Status:
        """See :meth:`Launcher.poll`."""
        state = self._state(handle)
        if not state:
            return Status(running=False, reason="its container is gone")
        if str(state.get("Status")) not in {"exited", "dead", "stopped"}:
            return Status(running=True)
        code = int(state.get("ExitCode", 0))
        reason = "it used more memory than its limit" if state.get("OOMKilled") else ""
        return Status(running=False, exit_code=128 - code if code in _SIGNALS else code, reason=reason)

    def logs(self, handle: str, offset: int) -> bytes:
        """See :meth:`Launcher.logs`."""
        done = self._call("logs", handle, merged=True)
        if done.returncode:
            if _is_absent(done.stdout):
                return b""
            raise StorageFailed(f"{self._engine} gives no log ({_problem(done)})")
        return bytes(done.stdout[offset:])

    def cancel(self, handle: str) -> None:
        """See :meth:`Launcher.cancel`."""
        done = self._call("stop", "-t", str(_GRACE_S), handle)
        if done.returncode and not _is_absent(done.stderr):
            raise StorageFailed(f"the container cannot be stopped: {_problem(done)}")

    def release(self, handle: str) -> None:
        """See :meth:`Launcher.release`."""
        done = self._call("rm", "--force", handle)
        if done.returncode and not _is_absent(done.stderr):
            raise StorageFailed(f"the container cannot be removed: {_problem(done)}")

    def _run(self, attempt: Attempt) -> list[str]:
        """The arguments that run an attempt: as the worker's own user, without privileges, on a read-only system."""
        spec, asked = attempt.spec, attempt.spec.resources
        variables = ENVIRONMENT | spec.environment.variables | {HOME_VARIABLE: HOME}
        options = [
            *("run", "--detach", "--name", attempt.handle, "--label", f"headset.job={attempt.job_id}"),
            *("--network", self._settings.container_network, "--log-driver", "json-file", "--stop-signal", "SIGINT"),
            *("--user", f"{os.getuid()}:{os.getgid()}", "--cap-drop", "ALL"),
            *("--security-opt", "no-new-privileges", "--read-only", "--tmpfs", "/tmp"),  # noqa: S108
            *("--volume", f"{self._home}:{HOME}", "--workdir", HOME),
        ]
        if self._is_podman and os.getuid():
            options += ["--userns", "keep-id"]
        for name, value in variables.items():
            options += ["--env", f"{name}={value}"]
        for name in spec.environment.secrets:
            options += ["--env", name]  # the engine takes the value from its own environment: no command line shows it
        if asked.cpus is not None:
            options += ["--cpus", f"{asked.cpus:g}"]
        if asked.memory_mb is not None:
            options += ["--memory", f"{asked.memory_mb}m", "--memory-swap", f"{asked.memory_mb}m"]
        if asked.gpus and self._is_podman:
            options += [part for number in range(asked.gpus) for part in ("--device", f"nvidia.com/gpu={number}")]
        elif asked.gpus:
            options += ["--gpus", str(asked.gpus)]
        return [*options, spec.environment.image or self._settings.image, *spec.arguments]

    def _state(self, handle: str) -> dict[str, Any]:
        """What the engine says of a container; nothing where there is none."""
        done = self._call("inspect", "--type", "container", "--format", "{{json .State}}", handle)
        if done.returncode:
            if _is_absent(done.stderr):
                return {}
            raise StorageFailed(f"{self._engine} does not answer ({_problem(done)})")
        state = msgspec.json.decode(done.stdout)
        return state if isinstance(state, dict) else {}

    def _call(
        self, *arguments: str, merged: bool = False, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(  # noqa: S603 - a list, no shell
                [self._engine, *arguments],
                env={**self._environ, **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if merged else subprocess.PIPE,
                timeout=_PATIENCE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StorageFailed(f"{self._engine} does not answer ({error})") from error


def _problem(done: subprocess.CompletedProcess[bytes]) -> str:
    said = (done.stderr or done.stdout or b"").decode("utf-8", "replace")
    return " ".join(said.split())[-300:] or f"code {done.returncode}"


def _is_absent(said: bytes) -> bool:
    return b"no such" in said.lower() or b"no container with" in said.lower()
