"""The decision record: what stands in a row, and that no order of arrival changes it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from headset.core.clock import ManualClock
from headset.events.log import Record
from headset.events.memory import MemoryLog
from headset.events.projection import Projector
from headset.events.schema import (
    Alternative,
    AnyPayload,
    ConversationEnded,
    ConversationStarted,
    FeedbackRecorded,
    LabelRecorded,
    OutcomeRecorded,
    SuggestionShown,
    TurnReceived,
)
from headset.feedback.record import DecisionRecord

DAY = 86_400_000_000


def rows(connection, *columns):
    """All rows by decision id, or some of their columns."""
    chosen = ", ".join(columns) or "*"
    return connection.execute(f"SELECT {chosen} FROM decision_record ORDER BY decision_id").fetchall()


def feedback(action, decision_id="d1", **more):
    return FeedbackRecorded(decision_id=decision_id, action=action, agent_id="ann", **more)


def test_a_decision_is_one_row_with_all_that_became_of_it(connection, tell, make):
    tell(connection, ConversationStarted(channel="email", queue="sales", language="de"))
    tell(
        connection,
        make["served"](
            alternatives=[Alternative("sim", 0.1)],
            scope=0.7,
            sentiment=-0.2,
            suggestions=[UUID(int=1), UUID(int=2)],
            feature_versions={"encoder": "3"},
            feature_hash="ab12",
            risk=0.25,
            risk_version="7",
        ),
        at=5,
    )
    tell(connection, SuggestionShown(decision_id="d1", agent_id="ann"))
    tell(connection, feedback("edited", edit_distance=0.25, intent="sim"))
    tell(connection, ConversationEnded(ended_by="agent"))
    tell(connection, OutcomeRecorded(resolution="resolved", handle_time_s=61.5, csat=4, reopened=False), at=9 * DAY)

    connection.row_factory = sqlite3.Row
    (row,) = rows(connection)
    assert dict(row) == {
        "decision_id": "d1",
        "event_time": 5,
        "source": "api",
        "conversation_id": "c1",
        "turn_id": "t1",
        "position": 0,
        "shadow_of": None,
        "channel": "email",
        "queue": "sales",
        "language": "de",
        "model": "intent",
        "model_version": "1",
        "arm": "champion",
        "feature_versions": '{"encoder":"3"}',
        "feature_hash": "ab12",
        "risk": 0.25,
        "risk_version": "7",
        "intent": "bill",
        "confidence": 0.9,
        "alternatives": '[{"intent":"sim","confidence":0.1}]',
        "scope": 0.7,
        "sentiment": -0.2,
        "route": "bot",
        "reason": "confident",
        "degraded": 0,
        "error": None,
        "latency_ms": 2.0,
        "suggestions": 2,
        "shown": 1,
        "agent_id": "ann",
        "action": "edited",
        "edit_distance": 0.25,
        "label": "sim",
        "handoff": 0,
        "ended_by": "agent",
        "resolution": "resolved",
        "handle_time_s": 61.5,
        "csat": 4.0,
        "reopened": 0,
        "outcome_time": 9 * DAY,
    }


def test_feedback_may_come_before_its_decision(connection, tell, make):
    tell(connection, feedback("overridden", intent="sim"))
    tell(connection, SuggestionShown(decision_id="d1", agent_id="ann"))
    assert rows(connection) == []
    tell(connection, make["served"]())
    assert rows(connection, "action", "label", "shown") == [("overridden", "sim", 1)]


def test_an_outcome_belongs_to_the_last_decision(connection, tell, make):
    tell(connection, make["served"]("d2", "t2", 1), at=1)
    tell(connection, OutcomeRecorded(resolution="resolved"), at=7 * DAY)
    tell(connection, make["served"]("d1", "t1", 0), at=2)
    assert rows(connection, "resolution") == [(None,), ("resolved",)]
    tell(connection, make["served"]("d3", "t3", 2), at=3)
    assert rows(connection, "resolution") == [(None,), (None,), ("resolved",)]


def test_an_outcome_belongs_to_the_decision_that_handed_off_first(connection, tell, make):
    for position, decision_id in enumerate(["d1", "d2", "d3"]):
        tell(connection, make["served"](decision_id, f"t{position}", position), at=position)
    tell(connection, OutcomeRecorded(csat=2))
    tell(connection, make["handoff"]("d2"), at=4)
    assert rows(connection, "csat", "handoff") == [(None, 0), (2, 1), (None, 0)]
    tell(connection, make["handoff"]("d1"), at=3)
    assert rows(connection, "csat", "handoff") == [(2, 1), (None, 1), (None, 0)]


def test_parts_of_an_outcome_come_one_by_one_and_the_newest_of_each_stands(connection, tell, make):
    tell(connection, make["served"]())
    tell(connection, OutcomeRecorded(resolution="resolved", csat=2), at=20)
    tell(connection, OutcomeRecorded(resolution="unresolved", handle_time_s=30), at=10)
    tell(connection, OutcomeRecorded(csat=5), at=30)
    columns = ("resolution", "handle_time_s", "csat", "reopened", "outcome_time")
    assert rows(connection, *columns) == [("resolved", 30, 5, None, 30)]


def test_the_newest_feedback_stands_and_keeps_the_label_of_an_older_one(connection, tell, make):
    tell(connection, make["served"]())
    tell(connection, feedback("accepted"), at=20)
    tell(connection, feedback("overridden", intent="sim"), at=10)
    assert rows(connection, "action", "label") == [("accepted", "sim")]


def test_the_newest_label_of_a_turn_stands_whoever_gave_it(connection, tell, make):
    tell(connection, make["served"]())
    tell(connection, LabelRecorded(kind="intent", value="loan", turn_id="t1"), at=20)
    tell(connection, feedback("overridden", intent="sim"), at=10)
    tell(connection, LabelRecorded(kind="intent", value="whole", turn_id=None), at=30)
    tell(connection, LabelRecorded(kind="satisfaction", value="5", turn_id="t1"), at=30)
    tell(connection, LabelRecorded(kind="intent", value="other", turn_id="t2"), at=30)
    assert rows(connection, "label") == [("loan",)]
    tell(connection, feedback("overridden", intent="bill"), at=40)
    assert rows(connection, "label") == [("bill",)]


def test_a_shadow_decision_shares_the_turn_and_its_label_and_nothing_else(connection, tell, make):
    tell(connection, make["shadowed"]())
    tell(connection, make["served"](position=4))
    tell(connection, feedback("overridden", intent="sim"))
    tell(connection, SuggestionShown(decision_id="d1", agent_id="ann"))
    tell(connection, ConversationEnded(ended_by="bot"))
    columns = ("decision_id", "arm", "position", "label", "action", "shown", "ended_by", "reason")
    assert rows(connection, *columns) == [
        ("d1", "champion", 4, "sim", "overridden", 1, "bot", "confident"),
        ("s1", "shadow", 4, "sim", None, 0, None, None),
    ]


def test_an_import_without_decisions_has_no_rows(connection, tell):
    tell(connection, ConversationStarted(), of="bank:1", source="import:bank")
    tell(connection, TurnReceived(turn_id="1", position=0, speaker="customer", text=""), of="bank:1")
    tell(connection, LabelRecorded(kind="intent", value="sim", turn_id="1"), of="bank:1", source="import:bank")
    assert rows(connection) == []


def test_nothing_about_other_conversations_is_mixed_in(connection, tell, make):
    tell(connection, make["served"]("d1"), of="c1")
    tell(connection, make["served"]("d2"), of="c2")
    tell(connection, LabelRecorded(kind="intent", value="sim", turn_id="t1"), of="c2")
    tell(connection, OutcomeRecorded(csat=1), of="c1")
    assert rows(connection, "label", "csat") == [(None, 1), ("sim", None)]


@given(data=st.data())
def test_no_order_or_batching_of_the_events_changes_the_table(news, data):
    events = data.draw(news)
    tables = []
    for order in (events, data.draw(st.permutations(events + events[:3]))):
        size = data.draw(st.integers(1, 8))
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            DecisionRecord().create(connection)
            for start in range(0, len(order), size):
                batch = [Record(start + i, event) for i, event in enumerate(order[start : start + size], 1)]
                DecisionRecord().apply(connection, batch)
            tables.append(rows(connection))
    assert tables[0] == tables[1]


@settings(max_examples=40)
@given(data=st.data())
def test_a_rebuilt_table_equals_the_one_kept_up_to_date(tmp_path_factory, news, data):
    log = MemoryLog(ManualClock())
    path = tmp_path_factory.mktemp("record") / "decisions.db"
    with closing(Projector(log, DecisionRecord(), path)) as projector:
        projector.catch_up()
        for event in data.draw(news):
            log.append([event])
            projector.catch_up()
        kept = rows(projector.connection)
        projector.rebuild()
        assert rows(projector.connection) == kept


@settings(max_examples=40)
@given(data=st.data())
def test_the_types_left_out_change_nothing(tmp_path_factory, news, data):
    log = MemoryLog(ManualClock())
    log.append(data.draw(news.filter(bool)))
    path = tmp_path_factory.mktemp("record") / "decisions.db"
    with (
        closing(Projector(log, DecisionRecord(), path)) as projector,
        closing(sqlite3.connect(":memory:", isolation_level=None)) as connection,
    ):
        projector.catch_up()
        DecisionRecord().create(connection)
        DecisionRecord().apply(connection, log.read())
        assert rows(projector.connection) == rows(connection)


def test_the_types_folded_are_in_the_vocabulary():
    assert set(DecisionRecord.types) < {kind.__name__ for kind in AnyPayload.__args__}
