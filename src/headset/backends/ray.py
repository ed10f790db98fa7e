"""Jobs on a Ray cluster: each attempt has an actor that outlives the platform and runs it as a process there.

Headset must be installed on the nodes, and the home folder be on a disk that they share.
"""

from __future__ import annotations

import platform
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError

from headset.core.errors import InvalidInput, StorageFailed
from headset.jobs.launcher import Attempt, Status, secrets_of
from headset.jobs.process import PROGRAM, ProcessLauncher

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from headset.jobs.spec import JobSpec

_NAMESPACE = "headset"
_PATIENCE_S = 30.0
_UNASKED = 0.01
_ATTEMPT = "attempt.json"
_DECODER = msgspec.json.Decoder(Attempt)  # made here: two threads must not be the first to decode a type
_KEPT = ("PATH", "LANG", "TZ")


class _Node:
    """Runs one attempt on the node that Ray chose.

    Its folder is in the home that the nodes share: an actor made anew finds what the one before it started there.
    """

    def __init__(self, attempt: Attempt, home: str, environ: dict[str, str], program: list[str]) -> None:
        folder = _runs(Path(home))
        node = folder / attempt.handle / "node"
        if not node.exists():
            node.write_text(platform.node(), "utf-8")
        self._is_here = node.read_text("utf-8") == platform.node()
        self._launcher = ProcessLauncher(folder, Path(home), environ, program=program)
        self._handle = attempt.handle
        self._launcher.start(attempt)

    def poll(self) -> Status:
        return self._launcher.poll(self._handle)

    def logs(self, offset: int) -> bytes:
        return self._launcher.logs(self._handle, offset)

    def cancel(self) -> None:
        if not self._is_here:  # the numbers of its processes mean others on this node
            raise RuntimeError("the node that runs the job has lost its actor, and another cannot end it")
        self._launcher.cancel(self._handle)


class RayLauncher:
    """Runs each attempt in an actor named by its handle.

    Args:
        address: The cluster; see ``jobs.ray_address``. Where this process is connected already, that is used.
        home: The home folder, at the same place on every node.
        environ: Secrets are taken from it.
        program: What the arguments of a job are given to.
    """

    def __init__(
        self, address: str, home: Path, environ: Mapping[str, str], *, program: Sequence[str] = PROGRAM
    ) -> None:
        self._address = address
        self._home = home
        self._folder = _runs(home)
        self._environ = environ
        self._program = program

    def check(self, spec: JobSpec) -> None:
        """See :meth:`Launcher.check`: the cluster alone knows what it has."""

    def start(self, attempt: Attempt) -> None:
        """See :meth:`Launcher.start`."""
        asked = attempt.spec.resources
        known = {name: self._environ[name] for name in _KEPT if name in self._environ}
        environ = known | secrets_of(attempt.spec, self._environ)
        folder = self._folder / attempt.handle
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (folder / _ATTEMPT).write_bytes(msgspec.json.encode(attempt))
        except OSError as error:
            raise StorageFailed(f"{folder} cannot be written ({error.strerror}); is the disk full?") from error
        with self._connected():
            ray.remote(_Node).options(
                name=attempt.handle,
                namespace=_NAMESPACE,
                lifetime="detached",
                get_if_exists=True,
                num_cpus=_UNASKED if asked.cpus is None else asked.cpus,
                num_gpus=asked.gpus,
                memory=None if asked.memory_mb is None else asked.memory_mb * 2**20,
            ).remote(attempt, str(self._home), environ, list(self._program))

    def poll(self, handle: str) -> Status:
        """See :meth:`Launcher.poll`."""
        try:
            status = self._ask(handle, "poll")
        except GetTimeoutError:
            return Status(running=True)  # waits for resources
        if isinstance(status, Status):
            return status
        try:
            attempt = _DECODER.decode((self._folder / handle / _ATTEMPT).read_bytes())
        except (OSError, msgspec.DecodeError):
            return Status(running=False, reason="its actor is gone")
        self.start(attempt)  # a new actor watches what the one before it started; nothing runs twice
        return Status(running=True)

    def logs(self, handle: str, offset: int) -> bytes:
        """See :meth:`Launcher.logs`."""
        try:
            return self._ask(handle, "logs", offset) or b""
        except GetTimeoutError:
            return b""

    def cancel(self, handle: str) -> None:
        """See :meth:`Launcher.cancel`."""
        try:
            self._ask(handle, "cancel")
        except GetTimeoutError:
            if (self._folder / handle / "state").exists():  # without its actor nobody could end it
                raise StorageFailed(f"the actor of {handle} does not answer; it is asked again") from None
            self.release(handle)  # it waits for resources

    def release(self, handle: str) -> None:
        """See :meth:`Launcher.release`."""
        with self._connected():
            actor = _actor(handle)
            if actor is not None:
                ray.kill(actor)
        shutil.rmtree(self._folder / handle, ignore_errors=True)

    def _ask(self, handle: str, question: str, *arguments: int) -> Any:  # noqa: ANN401 - of the three methods above
        """The answer of an attempt's actor; None where it is gone."""
        with self._connected():
            actor = _actor(handle)
            if actor is None:
                return None
            try:
                return ray.get(getattr(actor, question).remote(*arguments), timeout=_PATIENCE_S)
            except RayActorError:
                return None

    @contextmanager
    def _connected(self) -> Iterator[None]:
        try:
            if not ray.is_initialized():
                ray.init(self._address, namespace=_NAMESPACE, log_to_driver=False, configure_logging=False)
            yield
        except GetTimeoutError:
            raise
        except (RayError, ConnectionError, RuntimeError) as error:
            raise StorageFailed(
                f"the cluster {self._address} does not answer ({str(error)[:200]}); start it, or see jobs.ray_address"
            ) from error
        except ValueError as error:
            raise InvalidInput("jobs.ray_address", f"{self._address!r} is no cluster ({str(error)[:200]})") from error


def _runs(home: Path) -> Path:
    """Where attempts keep their files, on the disk that the nodes and the platform share."""
    return home / "jobs" / "ray"


def _actor(handle: str) -> Any:  # noqa: ANN401 - Ray makes its class as it goes
    try:
        return ray.get_actor(handle, namespace=_NAMESPACE)
    except ValueError:
        return None
