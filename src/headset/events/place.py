"""Where news of a conversation belongs: its queue and its customer's segment, as features count them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from headset.events.schema import Placed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headset.events.schema import AnyPayload


def segment_of(attributes: Mapping[str, str]) -> str | None:
    """The segment of a customer with these attributes; None without any.

    >>> segment_of({"tenure": "new", "region": "north"})
    'region=north,tenure=new'
    """
    return ",".join(f"{name}={attributes[name]}" for name in sorted(attributes)) or None


def placed(payload: AnyPayload, queue: str | None, segment: str | None) -> AnyPayload:
    """``payload`` with the conversation's queue and segment, where it can bear them and names none itself."""
    if not isinstance(payload, Placed):
        return payload
    return replace(payload, queue=payload.queue or queue, segment=payload.segment or segment)
