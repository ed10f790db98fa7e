"""Events by the handful, and news of any kind in any order."""

from __future__ import annotations

import sqlite3
from uuid import UUID

import pytest
from hypothesis import strategies as st

from headset.events.log import Record
from headset.events.schema import (
    ConversationEnded,
    ConversationStarted,
    DecisionServed,
    DecisionShadowed,
    Event,
    FeedbackRecorded,
    HandoffRequested,
    LabelRecorded,
    OutcomeRecorded,
    Sealed,
    SuggestionShown,
    TurnReceived,
)
from headset.feedback.record import DecisionRecord

_HOUR = 3_600_000_000


def served(decision_id="d1", turn_id="t1", position=0, **changes):
    fields = {"model": "intent", "model_version": "1", "arm": "champion", "intent": "bill", "confidence": 0.9}
    fields |= {"route": "bot", "reason": "confident", "latency_ms": 2.0}
    return DecisionServed(decision_id=decision_id, turn_id=turn_id, position=position, **(fields | changes))


def shadowed(decision_id="s1", shadow_of="d1", turn_id="t1", **changes):
    fields = {"model": "intent", "model_version": "2", "intent": "sim", "confidence": 0.6, "route": "bot"}
    return DecisionShadowed(
        decision_id=decision_id, shadow_of=shadow_of, turn_id=turn_id, latency_ms=1.0, **(fields | changes)
    )


def handoff(decision_id="d1"):
    return HandoffRequested(
        decision_id=decision_id, queue="q", reason="sentiment", summary=Sealed(""), steps_tried=[], due_time=0
    )


@pytest.fixture
def connection():
    """An empty decision record in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    DecisionRecord().create(connection)
    return connection


@pytest.fixture
def tell():
    """``tell(connection, payload, at=…, of=…)`` folds one event in, and gives it the next event id."""
    count = 0

    def fold(connection, payload, *, at=0, of="c1", source="api"):
        nonlocal count
        count += 1
        event = Event(
            event_id=UUID(int=count),
            event_time=at,
            subject=of,
            conversation_id=of,
            source=source,
            payload=payload,
        )
        DecisionRecord().apply(connection, [Record(count, event)])

    return fold


@pytest.fixture
def make():
    """Makers of the payloads with many fields."""
    return {"served": served, "shadowed": shadowed, "handoff": handoff}


_decisions, _turns = st.sampled_from(["d1", "d2", "d3", "d4", "s1"]), st.sampled_from(["t1", "t2"])
_intents = st.sampled_from(["bill", "sim"])
_payloads = st.one_of(
    st.builds(ConversationStarted, channel=st.sampled_from(["chat", "email"])),
    st.builds(TurnReceived, turn_id=_turns, position=st.just(0), speaker=st.just("customer"), text=st.just("")),
    st.builds(
        served, _decisions, _turns, st.integers(0, 2), model_version=st.sampled_from(["1", "2"]), intent=_intents
    ),
    st.builds(shadowed, _decisions, _decisions, _turns),
    st.builds(SuggestionShown, decision_id=_decisions, agent_id=st.just("a")),
    st.builds(
        FeedbackRecorded,
        decision_id=_decisions,
        action=st.sampled_from(["accepted", "overridden"]),
        agent_id=st.just("a"),
        intent=st.none() | _intents,
    ),
    st.builds(LabelRecorded, kind=st.just("intent"), value=_intents, turn_id=st.none() | _turns),
    st.builds(handoff, _decisions),
    st.builds(ConversationEnded, ended_by=st.sampled_from(["customer", "bot"])),
    st.builds(
        OutcomeRecorded,
        resolution=st.none() | st.sampled_from(["resolved", "transferred"]),
        csat=st.none() | st.sampled_from([1.0, 5.0]),
        reopened=st.none() | st.booleans(),
    ),
)


@pytest.fixture(scope="session")
def news():
    """A strategy: up to 25 events about few conversations, turns and decisions within three days."""
    envelopes = st.tuples(st.integers(0, 71).map(_HOUR.__mul__), st.sampled_from(["c1", "c2"]), _payloads)

    def number(drawn):
        return [
            Event(event_id=UUID(int=i), event_time=at, subject="s", conversation_id=of, source="api", payload=payload)
            for i, (at, of, payload) in enumerate(drawn)
        ]

    return st.lists(envelopes, max_size=25).map(number)
