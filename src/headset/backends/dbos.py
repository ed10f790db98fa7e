"""The queue of jobs on DBOS: a workflow per attempt, durable after each step, in SQLite or PostgreSQL."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec
from dbos import DBOS, DBOSConfig, Serializer, SetWorkflowID

from headset.core.errors import InvalidInput, StorageFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from headset.jobs.runner import Runner

_QUEUE = "jobs"
_POLL_S = 0.25
_running: list[Runner] = []
"""DBOS finds workflows by the name of a function, so what they work with is beside them: one runner at a time."""


class _Json(Serializer):
    """What DBOS keeps of steps, as JSON: its own way is pickle, which runs what it reads."""

    def name(self) -> str:
        return "json"

    def serialize(self, data: Any) -> str:  # noqa: ANN401 - whatever a workflow takes and gives
        return msgspec.json.encode(data, enc_hook=str).decode()

    def deserialize(cls, serialized_data: str) -> Any:  # noqa: ANN401, N805 - DBOS names it so
        return msgspec.json.decode(serialized_data)


@DBOS.workflow(name="headset.attempt", max_recovery_attempts=None)
def _attempt(job_id: str, attempt: int) -> None:
    _running[0].run(job_id, attempt, _step)


def _step(deed: Callable[[str, int], bool], job_id: str, attempt: int) -> bool:
    return DBOS.run_step({"name": deed.__name__}, deed, job_id, attempt)


class DbosQueue:
    """See :class:`headset.jobs.worker.Queue`; a process has one at a time.

    Args:
        url: ``sqlite:///PATH`` or ``postgresql://…``; each home folder needs a database of its own.
        runner: Takes attempts to their end.
        concurrency: Attempts that run at once, at most.

    Raises:
        InvalidInput: the URL names no such database.
        StorageFailed: the database does not answer, or is damaged.
    """

    def __init__(self, url: str, runner: Runner, *, concurrency: int) -> None:
        if not url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
            raise InvalidInput(
                "jobs.database",
                f"{url.partition(':')[0][:20]!r} is no database for jobs; use sqlite:///PATH or postgresql://…",
            )
        self._url = url
        _running[:] = [runner]
        logging.getLogger("dbos").setLevel(logging.ERROR)
        config = DBOSConfig(
            name="headset",
            system_database_url=url,
            application_version="1",  # of the steps' order; what a newer Headset finds in the queue, it goes on with
            executor_id="worker",
            console_log_level="ERROR",
            serializer=_Json(),
            use_listen_notify=False,
        )
        try:
            DBOS(config=config)
            DBOS.launch()
            DBOS.register_queue(
                _QUEUE, worker_concurrency=concurrency, polling_interval_sec=_POLL_S, on_conflict="always_update"
            )
        except Exception as error:
            DBOS.destroy()
            raise self._failed(error) from error

    def add(self, job_id: str, attempt: int) -> None:
        """See :meth:`headset.jobs.worker.Queue.add`."""
        try:
            with SetWorkflowID(f"{job_id}-{attempt}"):
                DBOS.enqueue_workflow(_QUEUE, _attempt, job_id, attempt)
        except Exception as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """See :meth:`headset.jobs.worker.Queue.close`."""
        DBOS.destroy()

    def _failed(self, error: Exception) -> StorageFailed:
        place = self._url.rpartition("@")[2]
        problem = " ".join(str(error).replace(self._url, place).split())[:200]
        return StorageFailed(f"the queue of jobs in {place} cannot be used ({problem}); see jobs.database")
