"""The worker: brings every attempt that is due into the queue, and so to its end."""

from __future__ import annotations

import fcntl
import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from headset.core.errors import HeadsetError, StorageFailed
from headset.jobs.record import ACTIVE

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from headset.core.clock import Clock
    from headset.jobs.runner import Runner
    from headset.jobs.store import Jobs

_logger = logging.getLogger("headset.jobs")
_LOOK_EVERY_S = 0.25
_AGAIN_S = 5.0


class Queue(Protocol):
    """Calls :meth:`Runner.run` once for each attempt, some at a time, and again after a crash until it returned."""

    def add(self, job_id: str, attempt: int) -> None:
        """Queue an attempt; one that is or was in the queue stays as it is.

        Raises:
            StorageFailed: it could not be kept.
        """
        ...

    def close(self) -> None:
        """Let go of the queue, once the runner was told to stop; jobs not at their end are taken up next time."""
        ...


class Worker:
    """Works on the jobs of a home folder; of several workers one does, and when it is gone another takes over.

    Args:
        jobs: The record.
        runner: Does the steps.
        open_queue: Opens the queue, when there is a first job: no worker pays for an engine it does not need.
        folder: Holds the lock by which workers take turns.
        clock: Tells when attempts are due.
        stop: Ends the work.
    """

    def __init__(
        self,
        jobs: Jobs,
        runner: Runner,
        open_queue: Callable[[Runner], Queue],
        folder: Path,
        clock: Clock,
        *,
        stop: threading.Event,
    ) -> None:
        self._jobs = jobs
        self._runner = runner
        self._open_queue = open_queue
        self._folder = folder
        self._clock = clock
        self._stop = stop
        self._queue: Queue | None = None
        self._added: set[tuple[str, int]] = set()

    def work(self, *, once: bool = False) -> None:
        """Work until told to stop, or, with ``once``, until every job is over."""
        with self._turn() as ours:
            try:
                while ours and not self._stop.is_set():
                    if self._look() == 0 and once:
                        self._stop.set()
                    self._stop.wait(_LOOK_EVERY_S)
            finally:
                self._stop.set()
                if self._queue is not None:
                    self._queue.close()

    def _look(self) -> int:
        """Queue what is new; the number of jobs that are not over, -1 where that cannot be told."""
        try:
            jobs = self._jobs.list(ACTIVE)
            for job in reversed(jobs):
                attempt = job.next_attempt(self._clock.now())
                if attempt is not None and (job.job_id, attempt) not in self._added:
                    self._queue = self._queue or self._open_queue(self._runner)
                    self._queue.add(job.job_id, attempt)
                    self._added.add((job.job_id, attempt))
        except HeadsetError as error:
            _logger.warning("no job can be started for now, it is tried again: %s", error)
            self._stop.wait(_AGAIN_S)
            return -1
        return len(jobs)

    @contextmanager
    def _turn(self) -> Iterator[bool]:
        """Wait for this worker's turn; False when told to stop before. The kernel ends the turn with the process."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(self._folder / "worker.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StorageFailed(f"{self._folder} cannot be used ({error}); choose another home with --home") from error
        try:
            yield self._wait_for(lock)
        finally:
            os.close(lock)

    def _wait_for(self, lock: int) -> bool:
        while not self._stop.is_set():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._stop.wait(_LOOK_EVERY_S)
            else:
                return True
        return False


def is_working(folder: Path) -> bool:
    """Whether a worker has its turn in the jobs' ``folder``."""
    try:
        with (folder / "worker.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
