"""The log as it was: what stood in it up to an offset, for whoever wants to do again what was done then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.core.errors import StorageFailed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from concurrent.futures import Future
    from typing import NoReturn
    from uuid import UUID

    from headset.events.log import Log, Record
    from headset.events.schema import Event


class Past:
    """A :class:`~headset.events.log.Log` that ends at an offset and takes nothing in.

    Args:
        log: The log of today.
        position: The last offset to be seen.
    """

    def __init__(self, log: Log, position: int) -> None:
        self._log = log
        self._position = position

    def read(
        self,
        after: int = 0,
        limit: int = 1000,
        *,
        types: Collection[str] | None = None,
        source: str | None = None,
    ) -> list[Record]:
        """See :meth:`Log.read`."""
        return self._seen(self._log.read(after, limit, types=types, source=source))

    def get(self, event_id: UUID) -> Record | None:
        """See :meth:`Log.get`."""
        record = self._log.get(event_id)
        return record if record is not None and record.offset <= self._position else None

    def conversation(self, conversation_id: str) -> list[Record]:
        """See :meth:`Log.conversation`."""
        return self._seen(self._log.conversation(conversation_id))

    def head(self) -> int:
        """See :meth:`Log.head`."""
        return min(self._log.head(), self._position)

    def append(self, events: Sequence[Event]) -> list[int]:
        """Refuse: the past is over.

        Raises:
            StorageFailed: always.
        """
        self._refuse(len(events))

    def append_soon(self, events: Sequence[Event]) -> Future[list[int]]:
        """Refuse, as :meth:`append`.

        Raises:
            StorageFailed: always.
        """
        self._refuse(len(events))

    def close(self) -> None:
        """Nothing: the log of today stays open."""

    def _seen(self, records: list[Record]) -> list[Record]:
        return [record for record in records if record.offset <= self._position]

    def _refuse(self, count: int) -> NoReturn:
        raise StorageFailed(
            f"the log up to offset {self._position} is past, {count} events cannot be added; append to today's"
        )
