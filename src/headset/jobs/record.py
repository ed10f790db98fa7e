"""The record of jobs: a projection of what the log says about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from headset.core.clock import iso
from headset.events.schema import (
    JobAdopted,
    JobCancelRequested,
    JobEnded,
    JobQueued,
    JobRequeued,
    JobStarted,
)
from headset.jobs.spec import JobSpec

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from headset.events.log import Record

JobState = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled"]
STATES: tuple[JobState, ...] = ("queued", "running", "waiting", "succeeded", "failed", "cancelled")
ACTIVE: tuple[JobState, ...] = ("queued", "running", "waiting")


class Job(Struct, frozen=True):
    """A job as it stands.

    Attributes:
        state: ``waiting`` is between a failed attempt and the next.
        attempt: Its latest attempt, from 1; 0 before the first.
        lost: Attempts that ended because the machine or the platform went down; they use up no retry.
        due: When the next attempt starts, while it is waiting; microseconds since the epoch.
        exit_code: Of the latest attempt that ended.
        reason: Why that attempt ended, or the job, where it did not succeed.
        cancelling: Someone wants it to end.
    """

    job_id: str
    spec: JobSpec
    spec_sha256: str
    state: JobState
    queued: int
    attempt: int = 0
    lost: int = 0
    started: int = 0
    due: int = 0
    ended: int = 0
    exit_code: int | None = None
    reason: str = ""
    cancelling: bool = False

    def next_attempt(self, now: int) -> int | None:
        """The attempt to be worked on at ``now``; None while the job rests, and where it is over."""
        if self.state == "running":
            return self.attempt
        is_due = self.state == "queued" or (self.state == "waiting" and self.due <= now)
        return self.attempt + 1 if is_due else None

    @property
    def is_over(self) -> bool:
        """Nothing more happens to it."""
        return self.state not in ACTIVE


class Moment(Struct, frozen=True):
    """One thing that happened to a job."""

    when: str
    what: str


_SPEC = msgspec.json.Decoder(JobSpec)  # made here: two threads must not be the first to decode a type
_COLUMNS = "job_id, spec, spec_sha256, state, queued, attempt, lost, started, due, ended, exit_code, reason, cancelling"


class JobRecord:
    """All jobs and their history as tables."""

    name = "jobs"
    version = 1
    types = ("JobQueued", "JobStarted", "JobAdopted", "JobRequeued", "JobCancelRequested", "JobEnded")

    def create(self, connection: sqlite3.Connection) -> None:
        """See :meth:`Projection.create`."""
        connection.execute(
            "CREATE TABLE jobs (job_id TEXT PRIMARY KEY, place INTEGER, spec BLOB, spec_sha256 TEXT, state TEXT,"
            " queued INTEGER, attempt INTEGER DEFAULT 0, lost INTEGER DEFAULT 0, started INTEGER DEFAULT 0,"
            " due INTEGER DEFAULT 0, ended INTEGER DEFAULT 0, exit_code INTEGER,"
            " reason TEXT DEFAULT '', cancelling INTEGER DEFAULT 0)"
        )
        connection.execute("CREATE INDEX jobs_by_state ON jobs (state)")
        connection.execute("CREATE TABLE history (job_id TEXT, place INTEGER, event_time INTEGER, what TEXT)")
        connection.execute("CREATE INDEX history_by_job ON history (job_id, place)")

    def apply(self, connection: sqlite3.Connection, records: Sequence[Record]) -> None:
        """See :meth:`Projection.apply`."""
        for record in records:
            when, payload = record.event.event_time, record.event.payload
            match payload:
                case JobQueued() as queued:
                    connection.execute(
                        "INSERT OR IGNORE INTO jobs (job_id, place, spec, spec_sha256, state, queued)"
                        " VALUES (?, ?, ?, ?, 'queued', ?)",
                        (queued.job_id, record.offset, queued.spec.encode(), queued.spec_sha256, when),
                    )
                    what = "queued"
                case JobStarted() as started:
                    _update(connection, started.job_id, state="running")
                    connection.execute(  # also of a job that was cancelled meanwhile: its attempt is to be ended
                        "UPDATE jobs SET attempt = ?, started = ? WHERE job_id = ?",
                        (started.attempt, when, started.job_id),
                    )
                    what = f"attempt {started.attempt} started ({started.launcher})"
                case JobAdopted() as adopted:
                    what = f"attempt {adopted.attempt} found running by another worker, and watched on"
                case JobRequeued() as back:
                    _update(
                        connection,
                        back.job_id,
                        state="waiting",
                        exit_code=back.exit_code,
                        reason=back.reason,
                        due=back.due_time,
                    )
                    connection.execute("UPDATE jobs SET lost = lost + ? WHERE job_id = ?", (back.lost, back.job_id))
                    how = "was lost" if back.lost else "failed"
                    what = f"attempt {back.attempt} {how}: {back.reason}; it is started again from its beginning"
                case JobCancelRequested() as cancel:
                    _update(connection, cancel.job_id, cancelling=1)
                    what = "cancellation asked for"
                case JobEnded() as over:
                    _update(
                        connection,
                        over.job_id,
                        state=over.result,
                        ended=when,
                        exit_code=over.exit_code,
                        reason=over.reason,
                    )
                    what = f"{over.result}{f': {over.reason}' if over.reason else ''}"
                case _:
                    continue
            connection.execute("INSERT INTO history VALUES (?, ?, ?, ?)", (payload.job_id, record.offset, when, what))


def _update(connection: sqlite3.Connection, job_id: str, **values: str | int | None) -> None:
    """Change a job that is not over: what ended has ended."""
    assigned = ", ".join(f"{name} = ?" for name in values)
    connection.execute(
        f"UPDATE jobs SET {assigned} WHERE job_id = ? AND state IN ('queued', 'running', 'waiting')",  # noqa: S608
        (*values.values(), job_id),
    )


def select_jobs(
    connection: sqlite3.Connection, *, states: Collection[str] = STATES, job_id: str | None = None, limit: int = -1
) -> list[Job]:
    """Jobs in any of ``states``, the newest first; at most ``limit``, where that is not negative."""
    marks = ", ".join("?" * len(states))
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM jobs WHERE state IN ({marks}) AND (? IS NULL OR job_id = ?)"  # noqa: S608
        " ORDER BY place DESC LIMIT ?",
        (*states, job_id, job_id, limit),
    )
    names = [column[0] for column in rows.description]
    return [_job(dict(zip(names, row, strict=True))) for row in rows]


def _job(row: dict[str, Any]) -> Job:
    return Job(**row | {"spec": _SPEC.decode(row["spec"]), "cancelling": bool(row["cancelling"])})


def select_history(connection: sqlite3.Connection, job_id: str) -> list[Moment]:
    """All that happened to a job, in order."""
    rows = connection.execute("SELECT event_time, what FROM history WHERE job_id = ? ORDER BY place", (job_id,))
    return [Moment(iso(when), what) for when, what in rows]
