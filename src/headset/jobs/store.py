"""Submitting, reading and cancelling jobs: all of it through the log, so that any process may do it at any time.

Nothing here runs a job; a worker reads the same record and does (:mod:`headset.jobs.runner`).
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from headset.core.clock import iso
from headset.core.errors import NotFound, StorageFailed
from headset.core.ids import stable_id
from headset.events.projection import Projector
from headset.events.schema import Event, JobCancelRequested, JobEnded, JobQueued
from headset.jobs.output import Output, Progress
from headset.jobs.record import STATES, Job, JobRecord, JobState, Moment, select_history, select_jobs
from headset.jobs.spec import JobSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path
    from uuid import UUID

    from headset.core.clock import Clock
    from headset.core.ids import Ids
    from headset.events.log import Log
    from headset.events.schema import JobAdopted, JobRequeued, JobStarted

    JobPayload = JobQueued | JobStarted | JobAdopted | JobRequeued | JobCancelRequested | JobEnded


class JobView(Struct, frozen=True, omit_defaults=True):
    """A job as it is shown to people and programs; times are ISO 8601."""

    job_id: str
    state: JobState
    command: str
    launcher: str
    spec_sha256: str
    queued: str
    attempt: int
    retries: int
    started: str | None = None
    due: str | None = None
    ended: str | None = None
    exit_code: int | None = None
    reason: str = ""
    cancelling: bool = False
    progress: Progress | None = None
    spec: JobSpec | None = None
    history: list[Moment] = []


class JobLines(Struct, frozen=True):
    """A part of what a job printed; read on at ``offset``, until it is ``ended`` and ``text`` is empty."""

    text: str
    offset: int
    ended: bool


class Jobs:
    """The jobs of one installation.

    Args:
        log: Where all that happens to jobs is kept.
        projections: Folder of the projection files.
        folder: Where their output is.
        check: Refuses a spec that cannot run here, with ``InvalidInput``.
    """

    def __init__(
        self, log: Log, projections: Path, folder: Path, clock: Clock, ids: Ids, *, check: Callable[[JobSpec], None]
    ) -> None:
        self._log = log
        self._clock = clock
        self._ids = ids
        self._check = check
        self._projector = Projector(log, JobRecord(), projections / "jobs.db")
        self.output = Output(folder / "logs")

    def submit(self, spec: JobSpec) -> Job:
        """Queue a job.

        Raises:
            InvalidInput: it could never run here; nothing was queued.
            StorageFailed: it could not be kept; nothing was queued.
        """
        self._check(spec)
        job_id = self._ids.new().hex[-12:]  # the random end of a UUIDv7: short enough to type
        self.tell(JobQueued(job_id=job_id, spec=msgspec.json.encode(spec).decode(), spec_sha256=spec.hash))
        return self.get(job_id)

    def cancel(self, job_id: str) -> Job:
        """Ask for a job's end; one that is not running ends at once, one that is over stays as it is.

        Raises:
            NotFound: there is no such job.
        """
        job = self.get(job_id)
        if not job.is_over:
            self.tell(JobCancelRequested(job_id=job_id))
            if job.state != "running":  # a worker that starts it at this moment finds it over, and ends it
                self.tell(JobEnded(job_id=job_id, result="cancelled", attempt=job.attempt, reason="cancelled"))
        return self.get(job_id)

    def get(self, job_id: str) -> Job:
        """One job.

        Raises:
            NotFound: there is none.
            StorageFailed: the record cannot be read.
        """
        with self._reading() as connection:
            found = select_jobs(connection, job_id=job_id)
        if not found:
            raise NotFound("job", f"{job_id[:60]!r} is unknown; 'headset jobs list' shows all")
        return found[0]

    def list(self, states: Collection[JobState] = STATES, *, limit: int = -1) -> list[Job]:
        """Jobs, the newest first.

        Raises:
            StorageFailed: the record cannot be read.
        """
        with self._reading() as connection:
            return select_jobs(connection, states=states, limit=limit)

    def view(self, job: Job, *, whole: bool = False) -> JobView:
        """``job`` as it is shown; with its spec and history where ``whole``."""
        history: list[Moment] = []
        if whole:
            with self._reading() as connection:
                history = select_history(connection, job.job_id)
        return JobView(
            job_id=job.job_id,
            state=job.state,
            command=" ".join(job.spec.arguments),
            launcher=job.spec.launcher,
            spec_sha256=job.spec_sha256,
            queued=iso(job.queued),
            attempt=job.attempt,
            retries=job.spec.retries,
            started=iso(job.started) if job.started else None,
            due=iso(job.due) if job.state == "waiting" else None,
            ended=iso(job.ended) if job.ended else None,
            exit_code=job.exit_code,
            reason=job.reason,
            cancelling=job.cancelling and not job.is_over,
            progress=self.output.progress(job.job_id) if job.attempt else None,
            spec=job.spec if whole else None,
            history=history,
        )

    def lines(self, job_id: str, offset: int) -> JobLines:
        """What a job printed from the byte ``offset`` on.

        Raises:
            NotFound: there is no such job.
        """
        ended = self.get(job_id).is_over  # in this order: what is printed before the end is read
        text, reached = self.output.read(job_id, offset, ended=ended)
        return JobLines(text, reached, ended and reached == offset)

    def tell(self, payload: JobPayload) -> None:
        """Append what happened to a job; told twice, it is kept once.

        Raises:
            StorageFailed: it could not be kept.
        """
        self._log.append(
            [
                Event(
                    event_id=_id_of(payload),
                    event_time=self._clock.now(),
                    subject=f"job:{payload.job_id}",
                    source="jobs",
                    payload=payload,
                )
            ]
        )

    def close(self) -> None:
        """Release the record."""
        self._projector.close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        self._projector.catch_up()
        try:
            yield self._projector.connection
        except (sqlite3.Error, msgspec.DecodeError) as error:
            raise StorageFailed(
                f"the record of jobs cannot be read ({error}); delete it, it is rebuilt from the log"
            ) from error


def _id_of(payload: JobPayload) -> UUID:
    """One thing happens to one attempt of a job once, however often it is told."""
    attempt, worker = getattr(payload, "attempt", 0), getattr(payload, "worker", "")
    if isinstance(payload, JobEnded):
        attempt = 0  # a job ends once
    return stable_id("job", payload.job_id, type(payload).__name__, str(attempt), worker)
