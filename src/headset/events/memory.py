"""The log in memory: for tests, notebooks and simulations; durable only as long as the process."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from itertools import islice
from typing import TYPE_CHECKING

from msgspec.structs import replace

from headset.core.errors import StorageFailed
from headset.events.log import Record

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from headset.core.clock import Clock
    from headset.events.schema import Event


class MemoryLog:
    """A :class:`~headset.events.log.Log` held in a list.

    >>> from headset.core.clock import ManualClock
    >>> MemoryLog(ManualClock()).head()
    0
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records: list[Record] = []
        self._offsets: dict[UUID, int] = {}
        self._conversations: dict[str, list[int]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def append(self, events: Sequence[Event]) -> list[int]:
        """See :meth:`Log.append`."""
        with self._lock:
            self._require_open()
            return [self._keep(event) for event in events]

    def append_soon(self, events: Sequence[Event]) -> Future[list[int]]:
        """See :meth:`Log.append_soon`; here the future is already resolved."""
        future: Future[list[int]] = Future()
        future.set_result(self.append(events))
        return future

    def read(
        self,
        after: int = 0,
        limit: int = 1000,
        *,
        types: Collection[str] | None = None,
        source: str | None = None,
    ) -> list[Record]:
        """See :meth:`Log.read`."""
        self._require_open()
        records = (self._records[index] for index in range(after, len(self._records)))
        chosen = (
            record
            for record in records
            if (types is None or record.event.type in types) and source in {None, record.event.source}
        )
        return list(islice(chosen, limit))

    def get(self, event_id: UUID) -> Record | None:
        """See :meth:`Log.get`."""
        self._require_open()
        offset = self._offsets.get(event_id)
        return None if offset is None else self._records[offset - 1]

    def conversation(self, conversation_id: str) -> list[Record]:
        """See :meth:`Log.conversation`."""
        self._require_open()
        return [self._records[offset - 1] for offset in tuple(self._conversations.get(conversation_id, ()))]

    def head(self) -> int:
        """See :meth:`Log.head`."""
        self._require_open()
        return len(self._records)

    def close(self) -> None:
        """See :meth:`Log.close`."""
        self._closed = True

    def _require_open(self) -> None:
        if self._closed:
            raise StorageFailed("the log is closed; its events are gone with it")

    def _keep(self, event: Event) -> int:
        known = self._offsets.get(event.event_id)
        if known is not None:
            return known
        offset = len(self._records) + 1
        self._records.append(Record(offset, replace(event, append_time=self._clock.now())))
        self._offsets[event.event_id] = offset
        if event.conversation_id is not None:
            self._conversations.setdefault(event.conversation_id, []).append(offset)
        return offset
