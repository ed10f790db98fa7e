"""Jobs as processes of this machine, each with an attendant that outlives the platform."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from headset.core.config import HOME_VARIABLE
from headset.core.errors import InvalidInput, StorageFailed
from headset.jobs import attendant
from headset.jobs.launcher import ENVIRONMENT, Status, secrets_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from headset.jobs.launcher import Attempt
    from headset.jobs.spec import JobSpec

PROGRAM = (sys.executable, "-m", "headset")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS")
_PATIENCE_S = 30.0


class ProcessLauncher:
    """Runs jobs on this machine; each attempt has a folder below ``folder`` while it is needed.

    Args:
        folder: Where attempts keep their files while they run.
        home: The home folder the jobs work in.
        environ: The environment they inherit.
        program: What the arguments of a job are given to.
    """

    def __init__(
        self, folder: Path, home: Path, environ: Mapping[str, str], *, program: Sequence[str] = PROGRAM
    ) -> None:
        self._folder = folder
        self._home = home
        self._environ = environ
        self._program = program

    def check(self, spec: JobSpec) -> None:
        """See :meth:`Launcher.check`."""
        asked, cores = spec.resources, os.cpu_count() or 1
        memory_mb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
        if asked.cpus is not None and asked.cpus > cores:
            raise InvalidInput("resources.cpus", f"is {asked.cpus:g}; this machine has {cores}")
        if asked.memory_mb is not None and asked.memory_mb > memory_mb:
            raise InvalidInput("resources.memory_mb", f"is {asked.memory_mb}; this machine has {memory_mb}")
        if asked.gpus:
            raise InvalidInput(
                "resources.gpus", f"is {asked.gpus}; processes are given none, choose another launcher than 'process'"
            )

    def start(self, attempt: Attempt) -> None:
        """See :meth:`Launcher.start`."""
        folder = self._folder / attempt.handle
        if (folder / "state").exists():
            return
        spec = attempt.spec
        secrets_of(spec, self._environ)  # inherited; this is only to miss none
        order = {
            "argv": [*self._program, *spec.arguments],
            "time_limit_s": spec.resources.time_limit_s,
            "memory_mb": spec.resources.memory_mb,
        }
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (folder / "order.json").write_bytes(msgspec.json.encode(order))
            child = subprocess.Popen(  # noqa: S603 - Headset itself, in a list, without a shell
                [sys.executable, "-I", attendant.__file__, str(folder)],
                env={**self._environ, **self._variables(spec)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise StorageFailed(f"a process for the job cannot be started in {folder} ({error})") from error
        threading.Thread(target=child.wait, name="attendant", daemon=True).start()  # so that it leaves no zombie
        self._await(folder, child)

    def poll(self, handle: str) -> Status:
        """See :meth:`Launcher.poll`."""
        folder = self._folder / handle
        state = _state(folder)
        if "exit_code" not in state:
            if _is_locked(folder / "lock"):
                return Status(running=True)
            state = _state(folder)  # it may have ended since
        if "exit_code" not in state:
            return Status(running=False, reason="its process is gone and left no exit code")
        return Status(running=False, exit_code=state["exit_code"], reason=state["reason"])

    def logs(self, handle: str, offset: int) -> bytes:
        """See :meth:`Launcher.logs`."""
        try:
            with (self._folder / handle / "output").open("rb") as output:
                output.seek(offset)
                return output.read()
        except FileNotFoundError:
            return b""

    def cancel(self, handle: str) -> None:
        """See :meth:`Launcher.cancel`."""
        folder = self._folder / handle
        state = _state(folder)
        # A held lock proves that the number still means this process, or this group, and no later one.
        with suppress(ProcessLookupError, KeyError):
            if _is_locked(folder / "state"):
                os.kill(state["attendant"], signal.SIGTERM)
            elif _is_locked(folder / "lock"):
                os.killpg(state["command"], signal.SIGKILL)

    def release(self, handle: str) -> None:
        """See :meth:`Launcher.release`."""
        shutil.rmtree(self._folder / handle, ignore_errors=True)

    def _variables(self, spec: JobSpec) -> dict[str, str]:
        cpus = spec.resources.cpus
        threads = {} if cpus is None else dict.fromkeys(THREADS, str(max(1, int(cpus))))
        return threads | ENVIRONMENT | spec.environment.variables | {HOME_VARIABLE: str(self._home)}

    def _await(self, folder: Path, child: subprocess.Popen[bytes]) -> None:
        """Return once the attempt is attended to, by this attendant or one before it."""
        for _ in range(round(_PATIENCE_S / 0.01)):
            ended = child.poll() is not None
            if (folder / "state").exists():
                return
            if ended:
                break
            time.sleep(0.01)
        raise StorageFailed(f"the job's attendant could not work in {folder} (code {child.poll()}); is the disk full?")


def _state(folder: Path) -> dict[str, Any]:
    try:
        state = msgspec.json.decode((folder / "state").read_bytes().strip() or b"{}")
    except (OSError, msgspec.DecodeError):
        return {}
    return state if isinstance(state, dict) else {}


def _is_locked(path: Path) -> bool:
    """Whether the attendant or its command lives."""
    try:
        with path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
