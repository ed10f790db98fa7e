"""Headset's types as a user meets them; `make check` reads it with mypy, nothing runs it."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, assert_type

from headset.core.clock import ManualClock, SystemClock
from headset.core.ids import Ids
from headset.events.schema import ConversationStarted, Event

if TYPE_CHECKING:
    from headset.core.clock import Clock


class StoppedClock:
    """A stranger's clock fits the protocol without naming it."""

    def now(self) -> int:
        return 0

    def monotonic(self) -> float:
        return 0.0


def sample() -> None:
    clocks: list[Clock] = [SystemClock(), ManualClock(), StoppedClock()]
    ids = Ids(clocks[0], Random(7))
    event = Event(
        event_id=ids.new(),
        event_time=clocks[0].now(),
        subject="ann",
        source="api",
        payload=ConversationStarted(),
    )
    assert_type(event.type, str)
    assert_type(event.conversation_id, str | None)
    if isinstance(event.payload, ConversationStarted):
        assert_type(event.payload.attributes, dict[str, str])
        event.payload.channel = "email"  # type: ignore[misc]  # payloads are frozen
