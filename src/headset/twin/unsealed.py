"""An event whose text has not passed the door yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from headset.events.schema import DecisionServed, Event, Sealed, TurnReceived

if TYPE_CHECKING:
    from collections.abc import Callable

    from headset.events.door import Door

PENDING = Sealed("")
"""Stands where the sealed text will be."""


class Unsealed(Struct, frozen=True, array_like=True):
    """An event and its text, which goes into the payload's field of that name; None where it has none."""

    event: Event
    text: str | None = None
    field: str = "text"


class Sealer:
    """Makes events as they may be kept: texts sealed, and how customers sound noted.

    Args:
        door: Lets the texts in.
        score: Sentiment of a text, -1 to 1.
    """

    def __init__(self, door: Door, score: Callable[[str], float]) -> None:
        self._door = door
        self._score = score
        self._sentiment = 0.0

    def seal(self, unsealed: Unsealed) -> Event:
        """The event as it may be kept; a decision comes right after the turn it is about.

        Raises:
            InvalidInput: the text cannot be stored.
        """
        event, payload = unsealed.event, unsealed.event.payload
        changed: dict[str, Any] = {}
        if unsealed.text is not None:
            admitted = self._door.admit(event.subject, unsealed.text, field=unsealed.field)
            changed[unsealed.field] = admitted.sealed
            if isinstance(payload, TurnReceived):
                changed["redactions"] = admitted.redactions
                if payload.speaker == "customer":
                    changed["sentiment"] = self._sentiment = round(self._score(admitted.text), 4)
        elif isinstance(payload, DecisionServed):
            changed["sentiment"] = self._sentiment
        if not changed:
            return event
        return msgspec.structs.replace(event, payload=msgspec.structs.replace(payload, **changed))
