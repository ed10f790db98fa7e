"""The contract of everything that runs jobs; ``tests/contracts/launcher.py`` holds the proof."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from headset.core.errors import InvalidInput
from headset.jobs.spec import JobSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRESS_VARIABLE = "HEADSET_PROGRESS"
"""Set for every job: its command then tells its progress as lines among its output (:mod:`headset.jobs.output`)."""

ENVIRONMENT = {PROGRESS_VARIABLE: "lines", "PYTHONUNBUFFERED": "1"}


def secrets_of(spec: JobSpec, environ: Mapping[str, str]) -> dict[str, str]:
    """The secrets a job names, from the worker's environment.

    Raises:
        InvalidInput: one is not there.
    """
    for name in spec.environment.secrets:
        if name not in environ:
            raise InvalidInput("environment.secrets", f"{name} is not in the worker's environment; set it there")
    return {name: environ[name] for name in spec.environment.secrets}


class Attempt(Struct, frozen=True):
    """One run of a job's command, from its beginning.

    Attributes:
        number: Counts the job's attempts from 1.
    """

    job_id: str
    number: int
    spec: JobSpec

    @property
    def handle(self) -> str:
        """What finds it again after any restart; unique, and fit for the name of a container or a Kubernetes object."""
        return f"headset-{self.job_id}-{self.number}"


class Status(Struct, frozen=True):
    """Where an attempt stands.

    Attributes:
        running: It has not ended.
        exit_code: How it ended; negative for the signal that ended it. None while it runs, and where nobody knows.
        reason: Why it ended, where its launcher ended it or lost it.
    """

    running: bool
    exit_code: int | None = None
    reason: str = ""


class Launcher(Protocol):
    """Runs attempts, and finds them again by their handle after any restart of the platform."""

    def check(self, spec: JobSpec) -> None:
        """Refuse what could never run here.

        Raises:
            InvalidInput: more is asked for than there is, or something this launcher has not.
        """
        ...

    def start(self, attempt: Attempt) -> None:
        """Start an attempt, unless it was started before; from then on its handle finds it.

        Raises:
            InvalidInput: it can never start.
            StorageFailed: the engine does not answer; it may be started again.
        """
        ...

    def poll(self, handle: str) -> Status:
        """Where the attempt stands; one that nobody knows of has ended without an exit code.

        Raises:
            StorageFailed: the engine does not answer.
        """
        ...

    def logs(self, handle: str, offset: int) -> bytes:
        """What it printed, standard output and error together, from the byte ``offset``.

        Raises:
            StorageFailed: the engine does not answer.
        """
        ...

    def cancel(self, handle: str) -> None:
        """Ask it to end, and everything it started; insist after some seconds. :meth:`poll` tells when it has.

        Raises:
            StorageFailed: the engine does not answer.
        """
        ...

    def release(self, handle: str) -> None:
        """Forget an attempt that has ended and whose log was read."""
        ...
