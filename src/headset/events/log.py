"""The log: one ordered, durable, append-only record of everything that happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from headset.events.schema import Event

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from concurrent.futures import Future
    from uuid import UUID


class Record(Struct, frozen=True):
    """An event in its place: offsets start at 1 and grow with append order."""

    offset: int
    event: Event


class Log(Protocol):
    """What every engine promises; ``tests/contracts/log.py`` holds the proof.

    * Acknowledged means durable: when ``append`` returns, or the future of ``append_soon``
      resolves, the events survive the death of the process and of the machine.
    * One total order: every reader sees the same events at the same offsets, and an offset never
      appears behind a position that a reader has passed.
    * Appending an ``event_id`` again adds nothing and returns the first offset.
    * One call's events are kept together or not at all.
    """

    def append(self, events: Sequence[Event]) -> list[int]:
        """Keep ``events`` durably and return their offsets, in the order given.

        Raises:
            StorageFull: no room is left; nothing was kept.
            StorageFailed: the store failed; nothing was kept.
            Overloaded: too many events are waiting to be written.
        """
        ...

    def append_soon(self, events: Sequence[Event]) -> Future[list[int]]:
        """Like :meth:`append`, without waiting: the future resolves when the events are durable.

        Where its ``cancel()`` returns True, nothing was kept; once the events are being written it returns False.
        """
        ...

    def read(
        self,
        after: int = 0,
        limit: int = 1000,
        *,
        types: Collection[str] | None = None,
        source: str | None = None,
    ) -> list[Record]:
        """Up to ``limit`` records behind offset ``after``, in order, optionally of some types or one source.

        Raises:
            StorageFailed: a record cannot be read, e.g. because another version of Headset wrote it; records of
                other types are not looked at.
        """
        ...

    def get(self, event_id: UUID) -> Record | None:
        """The record of one event, or None."""
        ...

    def conversation(self, conversation_id: str) -> list[Record]:
        """All records of one conversation, in order."""
        ...

    def head(self) -> int:
        """The newest offset, 0 when the log is empty: all up to it can be read, and no more will come there."""
        ...

    def close(self) -> None:
        """Finish what was accepted, then release the store. Later calls raise ``StorageFailed``."""
        ...
