from __future__ import annotations

from uuid import UUID

import numpy as np
import pytest

from headset.core.errors import InvalidInput
from headset.events.schema import (
    DecisionServed,
    Event,
    HandoffRequested,
    ModelRegistered,
    OutcomeRecorded,
    TurnReceived,
)
from headset.features.fact import COLUMNS, FactReader, entities_of

DAY = 86_400_000_000
NOW = 20_000 * DAY
TURN = TurnReceived(turn_id="t", position=3, speaker="agent", speaker_id="kim", text="sealed", sentiment=0.25)


def event(payload, *, time=NOW, subject="customer:ana"):
    return Event(
        event_id=UUID(int=7),
        event_time=time,
        append_time=NOW,
        subject=subject,
        source="api",
        payload=payload,
        conversation_id="c-1",
    )


def test_a_fact_bears_numbers_and_categories_and_no_text():
    fact = FactReader().read(event(TURN), offset=9)
    assert fact.columns == {
        "event_time": NOW / 1e6,
        "source": "api",
        "turn_id": "t",
        "position": 3.0,
        "speaker": "agent",
        "speaker_id": "kim",
        "sentiment": 0.25,
    }
    assert (fact.event, fact.event_id, fact.event_time, fact.offset) == ("TurnReceived", UUID(int=7).bytes, NOW, 9)
    assert all("text" not in columns and "error" not in columns for columns in COLUMNS.values())
    assert not {"reply", "summary", "steps_tried"} & {name for columns in COLUMNS.values() for name in columns}


def test_a_fact_bears_the_keys_of_all_it_is_about():
    read = FactReader().read
    assert read(event(TURN)).keys == {"conversation": "c-1", "customer": "ana", "agent": "kim"}
    assert read(event(TURN, subject="conversation:c-1")).keys == {"conversation": "c-1", "agent": "kim"}
    handoff = HandoffRequested(
        decision_id="d", queue="billing", reason="sentiment", summary="sealed", steps_tried=[], due_time=0
    )
    assert read(event(handoff)).keys == {"conversation": "c-1", "customer": "ana", "queue": "billing"}
    placed = OutcomeRecorded(resolution="resolved", queue="billing", segment="region=north,tenure=new")
    assert read(event(placed)).keys == {
        "conversation": "c-1",
        "customer": "ana",
        "queue": "billing",
        "segment": "region=north,tenure=new",
    }
    assert entities_of("LabelRecorded") == ("conversation", "customer")


@pytest.mark.parametrize(("time", "reason"), [(-1, "before 1970"), (NOW + DAY + 1, "over a day after it was recorded")])
def test_times_that_cannot_be_are_kept_out_and_counted(time, reason):
    reader = FactReader()
    assert reader.read(event(TURN, time=time)) is None
    assert reader.refused == {f"TurnReceived.event_time: {reason}": 1}


def test_a_time_a_little_ahead_is_taken():
    assert FactReader().read(event(TURN, time=NOW + DAY)) is not None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e11])
def test_numbers_that_are_none_are_kept_out_and_counted(value):
    reader = FactReader()
    fact = reader.read(event(OutcomeRecorded(handle_time_s=value, csat=4)))
    assert "handle_time_s" not in fact.columns
    assert fact.columns["csat"] == 4.0
    assert reader.refused == {"OutcomeRecorded.handle_time_s: not within ±1e+10": 1}


def test_vectors_come_as_signals_and_are_kept_as_float32():
    vector = np.array([0.5, -1.0])
    reader = FactReader()
    assert (
        reader.read(event(TURN), signals={"embedding": vector}).columns["embedding"] == vector.astype("<f4").tobytes()
    )
    assert "embedding" not in reader.read(event(TURN), signals={"embedding": [0.5, np.nan]}).columns
    assert reader.refused.total() == 1


def test_numbers_are_floats_and_flags_are_flags():
    decision = DecisionServed(
        decision_id="d", turn_id="t", position=1, model="intent", model_version="1", arm="champion", intent=None,
        confidence=1, route="bot", reason="confident", latency_ms=2, degraded=True, error="boom",
    )  # fmt: skip
    columns = FactReader().read(event(decision)).columns
    assert (columns["confidence"], columns["degraded"]) == (1.0, True)
    assert type(columns["confidence"]) is float
    assert "intent" not in columns
    assert {name: kind for name, kind in COLUMNS["DecisionServed"].items() if kind == "flag"} == {"degraded": "flag"}


def test_events_of_no_use_to_features_have_no_fact():
    registered = ModelRegistered(
        model="m", version="1", artifact_sha256="", run_id="", dataset="", data_fingerprint="", commit="", seed=1,
        metrics={}, encoder_version="",
    )  # fmt: skip
    reader = FactReader()
    assert reader.read(event(registered)) is None
    assert not reader.refused


def test_a_signal_that_is_no_column_is_left_out():
    with pytest.raises(InvalidInput, match=r"signals\.mood"):
        FactReader().read(event(TURN), signals={"mood": [1.0]})
