"""Facts: events as flat rows of numbers and categories, which all features are made of.

A fact has one column for each field of its event that bears a number, a flag or a category; texts have none.
What is absurd is left out here, once, so that no execution meets it: a fact whose time cannot be, a number that
is none.
"""

from __future__ import annotations

import types
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from msgspec import Struct

from headset.core.errors import InvalidInput
from headset.events.schema import (
    ConversationEnded,
    ConversationStarted,
    DecisionServed,
    DecisionShadowed,
    FeedbackRecorded,
    HandoffAccepted,
    HandoffRequested,
    LabelRecorded,
    OutcomeRecorded,
    SuggestionShown,
    TurnReceived,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import ArrayLike

    from headset.events.schema import Event

Kind = Literal["number", "flag", "word", "vector"]
Entity = Literal["conversation", "customer", "agent", "queue", "segment"]
Value = float | str | bool | bytes | None
"""A number is always a float, a vector the bytes of little-endian float32."""

ENTITIES: tuple[Entity, ...] = ("conversation", "customer", "agent", "queue", "segment")
LARGEST = 1e10
"""Larger numbers are not counted with: sums stay exact in 128 bits."""
LARGEST_IN_VECTOR = 256.0
"""The same for the numbers of a vector, in 64 bits."""

_DAY_US = 86_400_000_000
_SECOND_US = 1_000_000
_NO_COLUMNS = {"error", "text", "embedding", "reply", "summary", "sentiment_version", "encoder_version"}
_ENVELOPE: dict[str, Kind] = {"event_time": "number", "source": "word"}
_SIGNALS: dict[str, dict[str, Kind]] = {"TurnReceived": {"embedding": "vector"}}


class Fact(Struct, frozen=True, array_like=True):
    """One event, as features see it.

    Attributes:
        event: The event's type.
        event_id: 16 bytes; two facts of one id are one fact told twice.
        event_time: When it happened, microseconds.
        append_time: When it became known, microseconds.
        offset: Its place in the log; 0 when it has none yet.
        keys: The entities it is about, by kind.
        columns: What it says; a column that is not there is null.
    """

    event: str
    event_id: bytes
    event_time: int
    append_time: int
    offset: int
    keys: dict[str, str]
    columns: dict[str, Any]


def _kind_of(hint: object) -> Kind | None:
    """The kind of column a field becomes, None for texts and nested values."""
    if get_origin(hint) is Annotated:
        return _kind_of(get_args(hint)[0])
    if get_origin(hint) in {Union, types.UnionType}:
        (inner,) = (one for one in get_args(hint) if one is not type(None))
        return _kind_of(inner)
    if get_origin(hint) is Literal or hint is str:
        return "word"
    return "flag" if hint is bool else "number" if hint in {int, float} else None


def _columns_of(payload: type[Struct]) -> dict[str, Kind]:
    hints = get_type_hints(payload, include_extras=True)
    kinds = {name: _kind_of(hints[name]) for name in payload.__struct_fields__ if name not in _NO_COLUMNS}
    told: dict[str, Kind] = {name: kind for name, kind in kinds.items() if kind is not None}
    return _ENVELOPE | told | _SIGNALS.get(payload.__name__, {})


COLUMNS: Mapping[str, Mapping[str, Kind]] = {
    payload.__name__: _columns_of(payload)
    for payload in (
        ConversationStarted,
        TurnReceived,
        DecisionServed,
        DecisionShadowed,
        SuggestionShown,
        FeedbackRecorded,
        HandoffRequested,
        HandoffAccepted,
        ConversationEnded,
        OutcomeRecorded,
        LabelRecorded,
    )
}
"""The columns of each event type that features can be made of. ``event_time`` is in seconds.

>>> COLUMNS["HandoffAccepted"]
{'event_time': 'number', 'source': 'word', 'agent_id': 'word'}
"""


def entities_of(event: str) -> tuple[Entity, ...]:
    """The entities that facts of type ``event`` can be about.

    >>> entities_of("LabelRecorded")
    ('conversation', 'customer')
    """
    columns = COLUMNS[event]
    bears = {
        "agent": "agent_id" in columns or "speaker_id" in columns,
        "queue": "queue" in columns,
        "segment": "segment" in columns,
    }
    return tuple(entity for entity in ENTITIES if bears.get(entity, True))


class FactReader:
    """Makes facts of events.

    Attributes:
        refused: What was left out so far: how often, by column and reason.
    """

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()

    def read(
        self,
        event: Event,
        *,
        offset: int = 0,
        append_time: int | None = None,
        signals: Mapping[str, ArrayLike | None] | None = None,
    ) -> Fact | None:
        """The fact of ``event``; None for events of no use to features and for times that cannot be.

        Args:
            event: The event.
            offset: Its place in the log.
            append_time: When it became known, where the log has not stamped it yet.
            signals: What was computed from its text, by column, such as ``embedding``; it comes before what the event
                says.

        Raises:
            InvalidInput: a signal is no column of its type.
        """
        columns = COLUMNS.get(event.type)
        if columns is None:
            return None
        for name in signals or ():
            if name not in columns:
                raise InvalidInput(f"signals.{name}", f"is no column of {event.type}")
        known = event.append_time if append_time is None else append_time
        if not 0 <= event.event_time <= known + _DAY_US:
            reason = "before 1970" if event.event_time < 0 else "over a day after it was recorded"
            self.refused[f"{event.type}.event_time: {reason}"] += 1
            return None
        told = {"event_time": event.event_time / _SECOND_US, "source": event.source}
        said = (name for name, kind in columns.items() if kind != "vector")  # vectors are sealed in the event
        found = {**{name: told.get(name, getattr(event.payload, name, None)) for name in said}, **(signals or {})}
        kept = {name: self._checked(event.type, name, value) for name, value in found.items() if value is not None}
        return Fact(
            event=event.type,
            event_id=event.event_id.bytes,
            event_time=event.event_time,
            append_time=known,
            offset=offset,
            keys=dict(_keys(event)),
            columns={name: value for name, value in kept.items() if value is not None},
        )

    def _checked(self, event: str, name: str, value: Any) -> Any:  # noqa: ANN401 - a field of any payload
        kind = COLUMNS[event][name]
        if kind == "vector":
            vector = np.asarray(value, "<f4").ravel()
            if np.all(np.abs(vector) <= LARGEST_IN_VECTOR):  # false for NaN
                return vector.tobytes()
            self.refused[f"{event}.{name}: not all within ±{LARGEST_IN_VECTOR:g}"] += 1
            return None
        if kind == "number":
            if -LARGEST <= value <= LARGEST:  # false for NaN
                return float(value)
            self.refused[f"{event}.{name}: not within ±{LARGEST:g}"] += 1
            return None
        return value


def _keys(event: Event) -> Iterator[tuple[Entity, str]]:
    payload = event.payload
    if event.conversation_id is not None:
        yield "conversation", event.conversation_id
    kind, _, name = event.subject.partition(":")
    if kind == "customer" and name:
        yield "customer", name
    agent = getattr(payload, "agent_id", None)
    if isinstance(payload, TurnReceived) and payload.speaker == "agent":
        agent = payload.speaker_id
    if agent:
        yield "agent", agent
    if queue := getattr(payload, "queue", None):
        yield "queue", queue
    if segment := getattr(payload, "segment", None):
        yield "segment", segment
