"""The registry's way to the log: it reads the ledger there, and tells it sealed what was done and what was refused."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from headset.core.errors import Conflict, HeadsetError, StorageFailed
from headset.events.schema import AttemptRefused, Event
from headset.registry.ledger import TYPES, Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from headset.core.clock import Clock
    from headset.core.ids import Ids
    from headset.events.log import Log
    from headset.events.schema import Actor
    from headset.registry.ledger import Judged
    from headset.registry.seal import Seal, Sealable

Action = Literal["promote", "rollback", "waive", "approve", "withdraw"]

_BATCH = 1_000


class Journal:
    """The part of a log that is about models; threads may share it.

    Args:
        log: The log.
        clock: Dates what is told.
        ids: Names it.
        seal: Of this installation.
    """

    def __init__(self, log: Log, clock: Clock, ids: Ids, seal: Seal) -> None:
        self._log = log
        self._clock = clock
        self._ids = ids
        self._seal = seal
        self._ledger = Ledger(seal)
        self._position = 0
        self._turn = threading.RLock()

    def new_id(self) -> str:
        """A fresh identifier."""
        return str(self._ids.new())

    @contextmanager
    def reading(self) -> Iterator[Ledger]:
        """The ledger as of the log's head; one thread at a time."""
        with self._turn:
            head = self._log.head()
            while self._position < head and (records := self._log.read(self._position, _BATCH, types=TYPES)):
                for record in records:
                    self._ledger.apply(record)
                self._position = records[-1].offset
            self._position = max(self._position, head)
            yield self._ledger

    def now(self) -> int:
        """The clock's time, or that of the log's newest event where the clock was set back behind it."""
        newest = self._log.read(max(0, self._log.head() - 1), 1)
        return max(self._clock.now(), *(record.event.append_time for record in newest), 0)

    def tell(self, payloads: Sequence[Sealable], *, source: str) -> list[Event]:
        """Append sealed events, together."""
        now = self.now()
        events = [
            self._seal.put_on(
                Event(
                    event_id=self._ids.new(),
                    event_time=now,
                    subject=f"model:{payload.model}",
                    source=source,
                    payload=payload,
                )
            )
            for payload in payloads
        ]
        self._log.append(events)
        return events

    def judge(self, payload: Judged) -> None:
        """Tell the log what is asked for, unless the rule refuses it; the fold has the last word."""
        with self.reading() as ledger:
            against = ledger.objections(payload, ledger.moment(self.now()))
        if not against:
            (event,) = self.tell([payload], source="registry")
            with self.reading() as ledger:
                against = ledger.refused.get(event.event_id, [])
        if against:
            raise Conflict("waiver" if hasattr(payload, "waiver_id") else "version", "; ".join(against))

    @contextmanager
    def attempt(
        self, action: Action, model: str, version: str, by: Actor, detail: str, reason: str = ""
    ) -> Iterator[None]:
        """Keep on record when the block refuses."""
        try:
            yield
        except StorageFailed:
            raise
        except HeadsetError as error:
            refused = AttemptRefused(
                action=action, model=model, version=version, by=by, why=str(error), detail=detail, reason=reason
            )
            self.tell([refused], source="registry")
            raise
