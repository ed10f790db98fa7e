"""The report: every KPI against numbers counted by hand."""

from __future__ import annotations

import duckdb
import msgspec
import numpy as np
import pytest

from headset.monitoring.kpi import RATIOS
from headset.monitoring.report import ModelReport, report
from headset.stats.classification import expected_calibration_error

SECOND = 1_000_000
COLUMNS = {
    "model": "VARCHAR",
    "model_version": "VARCHAR",
    "arm": "VARCHAR",
    "event_time": "BIGINT",
    "intent": "VARCHAR",
    "label": "VARCHAR",
    "confidence": "DOUBLE",
    "route": "VARCHAR",
    "reason": "VARCHAR",
    "degraded": "BOOLEAN",
    "error": "VARCHAR",
    "latency_ms": "DOUBLE",
    "shown": "BOOLEAN",
    "action": "VARCHAR",
    "edit_distance": "DOUBLE",
    "handoff": "BOOLEAN",
    "ended_by": "VARCHAR",
    "resolution": "VARCHAR",
}
PLAIN = {
    "model": "intent",
    "model_version": "1",
    "arm": "champion",
    "event_time": 0,
    "intent": "bill",
    "confidence": 0.9,
    "route": "bot",
    "reason": "confident",
    "degraded": False,
    "latency_ms": 2.0,
    "shown": False,
    "handoff": False,
}


@pytest.fixture
def over():
    """``over(rows, …)``: the report over these rows, each a change to a plain decision."""
    connection = duckdb.connect()
    connection.execute(f"CREATE TABLE record ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})")
    connection.execute(
        "CREATE VIEW decisions AS SELECT * REPLACE (make_timestamp(event_time) AS event_time) FROM record"
    )

    def fill(rows, **window):
        for row in rows:
            values = [(PLAIN | row).get(name) for name in COLUMNS]
            connection.execute(f"INSERT INTO record VALUES ({', '.join('?' * len(values))})", values)
        return report(connection, **window)

    yield fill
    connection.close()


@pytest.fixture
def counts(over):
    """``counts("name", rows)``: numerator and denominator of one share."""

    def count(name, rows):
        (only,) = over(rows)
        share = getattr(only, name)
        assert share.value == (share.count / share.of if share.of else None)
        return share.count, share.of

    return count


def test_without_decisions_there_is_no_report(over):
    assert over([]) == []


def test_without_cases_a_value_is_none_and_not_zero(over):
    (only,) = over([{}])
    for share in (only.accuracy, only.override, only.acceptance, only.edited, only.containment):
        assert (share.count, share.of, share.value, share.low, share.high) == (0, 0, None, None, None)
    assert (only.calibration_error, only.edit_distance, only.per_second) == (None, None, None)
    assert only.errors.value == 0


def test_accuracy_counts_decisions_with_a_verified_label_and_abstaining_is_wrong(over):
    right, wrong = {"label": "bill"}, {"label": "sim"}
    (only,) = over([right] * 8 + [wrong, {"intent": None, "label": "bill"}, {}, {}])
    assert (only.accuracy.count, only.accuracy.of, only.accuracy.value) == (8, 10, 0.8)
    assert (only.accuracy.low, only.accuracy.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_override_rate_is_over_decisions_with_feedback(counts):
    rows = [{"action": action} for action in ("overridden", "accepted", "ignored", "rejected", None)]
    assert counts("override", rows) == (1, 4)


def test_only_shown_suggestions_count_in_acceptance(counts):
    rows = [
        {"shown": True, "action": "accepted"},
        {"shown": True, "action": "edited"},
        {"shown": True},
        {"shown": False, "action": "accepted"},
    ]
    assert counts("acceptance", rows) == (1, 3)


def test_edited_and_its_mean_distance_are_over_shown_suggestions(over):
    (only,) = over(
        [
            {"shown": True, "action": "edited", "edit_distance": 0.2},
            {"shown": True, "action": "edited", "edit_distance": 0.4},
            {"shown": True, "action": "accepted", "edit_distance": 0.0},
            {"shown": False, "action": "edited", "edit_distance": 1.0},
        ]
    )
    assert (only.edited.count, only.edited.of) == (2, 3)
    assert only.edit_distance == pytest.approx(0.3)


def test_containment_is_over_ended_conversations(counts):
    rows = [
        {"ended_by": "customer"},
        {"resolution": "resolved"},
        {"ended_by": "agent", "handoff": True},
        {"ended_by": "bot", "resolution": "transferred"},
        {"handoff": True},
        {},
    ]
    assert counts("containment", rows) == (2, 4)


def test_turns_that_went_to_a_person_are_counted_by_reason(over):
    human = {"route": "human"}
    (only,) = over(
        [human | {"reason": "low_confidence"}] * 2 + [human | {"reason": "with_human"}] + [{}] * 5,
    )
    assert (only.to_human.count, only.to_human.of) == (3, 8)
    assert list(only.human_reasons.items()) == [("low_confidence", 2), ("with_human", 1)]


def test_automation_leaves_out_turns_a_person_had_already(counts):
    rows = [{}, {}, {"route": "human", "reason": "sentiment"}, {"route": "human", "reason": "with_human"}]
    assert counts("automation", rows) == (2, 3)


def test_errors_and_degraded_are_over_all_decisions(over):
    (only,) = over([{"error": "stalled", "degraded": True}, {"degraded": True}, {}, {}])
    assert (only.errors.count, only.errors.of) == (1, 4)
    assert (only.degraded.count, only.degraded.of) == (2, 4)


def test_latency_quantiles_are_exact(over):
    (only,) = over([{"latency_ms": float(value)} for value in range(101)])
    assert msgspec.structs.astuple(only.latency_ms) == (50, 95, 99)


def test_throughput_is_over_the_window_and_its_busiest_minute(over):
    rows = [{"event_time": second * SECOND} for second in (0, 59, 60, 61, 119, 120, 200)]
    (only,) = over(rows)
    assert (only.per_second, only.peak_per_minute) == (7 / 200, 3)
    (only,) = over([], since=60 * SECOND, until=120 * SECOND)
    assert (only.decisions, only.per_second, only.peak_per_minute) == (3, 3 / 60, 3)


def test_calibration_error_weighs_the_gap_of_each_bin(over):
    rows = [{"confidence": 0.9, "label": "bill"}] * 3 + [{"confidence": 0.9, "label": "sim"}]
    rows += [{"confidence": 0.1, "label": "sim"}, {"confidence": 0.0, "intent": None, "label": "sim"}]
    (only,) = over(rows)
    assert only.calibration_error == pytest.approx((4 * (0.9 - 0.75) + 1 * 0.1) / 5)


def test_calibration_error_equals_that_of_training(over, seed):
    draw = np.random.default_rng(seed)
    confidence, right = draw.random(60).round(2), draw.random(60) < 0.5
    labels = np.where(right, "bill", "sim")
    rows = [{"confidence": c, "label": str(label)} for c, label in zip(confidence.tolist(), labels, strict=True)]
    (only,) = over(rows)
    assert only.calibration_error == pytest.approx(expected_calibration_error(confidence, right))


def test_shadow_decisions_are_reported_apart_and_the_earliest_version_comes_first(over):
    found = over(
        [
            {"model_version": "10", "event_time": 5},
            {"model_version": "9", "event_time": 1},
            {"model_version": "10", "event_time": 0, "arm": "shadow", "reason": None},
            {"model_version": "10", "event_time": 6, "arm": "candidate"},
            {"model": "a", "event_time": 9},
        ]
    )
    order = [(one.model, one.model_version, one.shadow, one.decisions) for one in found]
    assert order == [
        ("a", "1", False, 1),
        ("intent", "9", False, 1),
        ("intent", "10", False, 2),
        ("intent", "10", True, 1),
    ]


def test_every_share_is_a_field_of_the_report():
    assert {ratio.name for ratio in RATIOS} <= set(ModelReport.__struct_fields__)


def test_the_report_survives_json(over):
    found = over([{"label": "bill", "route": "human", "reason": "sentiment"}])
    assert msgspec.json.decode(msgspec.json.encode(found), type=list[ModelReport]) == found
