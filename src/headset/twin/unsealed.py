"""An event whose text has not passed the door yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from headset.events.schema import Event, Sealed, TurnReceived

if TYPE_CHECKING:
    from headset.events.door import Door

PENDING = Sealed("")
"""Stands where the sealed text will be."""


class Unsealed(Struct, frozen=True, array_like=True):
    """An event and its text, which goes into the payload's field of that name; None where it has none."""

    event: Event
    text: str | None = None
    field: str = "text"

    def seal(self, door: Door) -> Event:
        """The event as it may be kept.

        Raises:
            InvalidInput: the text cannot be stored.
        """
        if self.text is None:
            return self.event
        admitted = door.admit(self.event.subject, self.text, field=self.field)
        sealed: dict[str, Any] = {self.field: admitted.sealed}
        if admitted.redactions and isinstance(self.event.payload, TurnReceived):
            sealed["redactions"] = admitted.redactions
        payload = msgspec.structs.replace(self.event.payload, **sealed)
        return msgspec.structs.replace(self.event, payload=payload)
