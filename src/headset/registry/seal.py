"""Seals: what the registry told the log itself is told apart from what anyone else wrote into it."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from headset.events.schema import (
    AnyPayload,
    AttemptRefused,
    Event,
    GateEvaluated,
    Promoted,
    ValidationEnded,
    WaiverGranted,
    WaiverRequested,
    WaiverWithdrawn,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Sealable = (
    GateEvaluated | ValidationEnded | Promoted | WaiverRequested | WaiverGranted | WaiverWithdrawn | AttemptRefused
)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AnyPayload).decode


class Seal:
    """Seals control events under the installation's master key (HMAC-SHA-256).

    The seal covers the event's id, its time and its payload. The log keeps an id once, so no event can be told
    again later to count as newer; and events of another installation have seals of another key.

    Args:
        digest: A keyed digest of texts, such as :meth:`headset.events.vault.Vault.digest`.

    >>> from uuid import UUID
    >>> from headset.events.schema import Actor
    >>> seal = Seal(lambda *parts: str(hash(parts)))
    >>> granted = WaiverGranted(waiver_id="w", model="intent", by=Actor("ann"))
    >>> event = seal.put_on(Event(event_id=UUID(int=1), event_time=5, subject="s", source="registry", payload=granted))
    >>> seal.holds(event), seal.holds(replace(event, event_time=6))
    (True, False)
    """

    def __init__(self, digest: Callable[..., str]) -> None:
        self._digest = digest

    def put_on(self, event: Event) -> Event:
        """The event with its seal."""
        return replace(event, payload=replace(event.payload, seal=self._of(event)))

    def holds(self, event: Event) -> bool:
        """Whether this installation sealed the event, as it is."""
        seal: str = getattr(event.payload, "seal", "")
        return hmac.compare_digest(seal.encode(), self._of(event).encode())

    def _of(self, event: Event) -> str:
        bare = _encode(replace(event.payload, seal=""))
        canonical = _encode(_decode(bare))  # as it is read back: a whole number given for a float is one then
        return self._digest("headset control event", str(event.event_id), str(event.event_time), canonical.decode())
