from __future__ import annotations

import pytest

from headset.core.errors import InvalidInput, NotFound
from headset.features.aggregation import Count, Distinct, Ewma, Last, Max, Mean, Quantile, Sum, VectorMean
from headset.features.definition import Feature, FeatureView
from headset.features.expression import column
from headset.features.fact import Fact
from headset.features.incremental import HOUR_US, Incremental

SECOND = 1_000_000
START = 20_000 * 86_400 * SECOND


def view(aggregation, *, window="1 h", expression="sentiment", **change):
    made = Feature(
        name="value",
        aggregation=aggregation,
        window=window,
        expression=None if expression is None else column(expression),
        **change,
    )
    return FeatureView(name="v", entity="customer", event="TurnReceived", features=(made,), owner="", description="")


def fact(number, value=None, *, time=None, known=None, customer="ana"):
    time = START + number * SECOND if time is None else time
    columns = {} if value is None else {"sentiment": value}
    known = time if known is None else known
    return Fact("TurnReceived", number.to_bytes(16, "big"), time, known, number, {"customer": customer}, columns)


def folded(store, facts):
    for one in facts:
        store.update(one)
    return store


@pytest.mark.parametrize(
    ("aggregation", "value"),
    [
        (Sum(), 0.1 + 0.7),
        (Mean(), (0.1 + 0.7) / 2),
        (Max(), 0.7),
        (Last(), 0.7),
        (Count(), 2),
        (Distinct(), 2),
        (Quantile(0.5), 0.1),
        (Ewma("10 min"), pytest.approx((0.1 + 2 * 0.7) / 3, abs=1e-12)),
    ],
)
def test_values_are_what_they_are_called(aggregation, value):
    # Ten minutes apart, in the same step of a half-life.
    store = folded(Incremental([view(aggregation)]), [fact(0, 0.1), fact(600, 0.7), fact(601)])
    found = store.read("v", "ana", START + 700 * SECOND)["value"]
    assert found == (pytest.approx(0.1, rel=0.004) if isinstance(aggregation, Quantile) else value)


def test_a_window_is_open_at_its_start_and_closed_at_its_end():
    store = folded(Incremental([view(Count(), expression=None)], grace_us=2 * HOUR_US), [fact(5)])
    moment = START + 5 * SECOND
    seen = [store.read("v", "ana", moment + gap)["value"] for gap in (-1, 0, HOUR_US - 1, HOUR_US)]
    assert seen == [0, 1, 1, 0]


def test_a_sum_does_not_depend_on_what_came_between():
    values = (1e10, 0.1, -1e10, 0.2, 1e-3)
    store = folded(Incremental([view(Sum())]), [fact(number, value) for number, value in enumerate(values)])
    assert store.read("v", "ana", START + 9 * SECOND)["value"] == pytest.approx(0.301, abs=1e-17)


def test_distinct_values_are_counted_up_to_a_thousand():
    store = folded(Incremental([view(Distinct())]), [fact(number, number / 7) for number in range(1_500)])
    assert store.read("v", "ana", START + 999 * SECOND)["value"] == 1_000
    assert store.read("v", "ana", START + 1_499 * SECOND)["value"] == 1_000
    assert store.read("v", "ana", START + 998 * SECOND)["value"] == 999


def test_a_quantile_is_within_half_a_percent():
    values = [(number * 7919 % 1_000) / 10 for number in range(1_000)]
    store = folded(Incremental([view(Quantile(0.9))]), [fact(number, value) for number, value in enumerate(values)])
    found = store.read("v", "ana", START + 999 * SECOND)["value"]
    assert found == pytest.approx(sorted(values)[899], rel=0.004)


def test_a_key_never_heard_of_has_defaults():
    store = Incremental([view(Mean(), default=0.25)])
    assert store.read("v", "bo", START) == {"value": 0.25}
    assert not store.knows("v", "bo")
    vectors = Incremental([view(VectorMean(3), expression="embedding")])
    assert vectors.read("v", "bo", START)["value"].tolist() == [0, 0, 0]


def test_reads_of_what_was_forgotten_and_of_no_view_are_refused():
    store = folded(Incremental([view(Count())]), [fact(9_000)])
    with pytest.raises(InvalidInput, match="as_of: is 3601 s before the newest fact; memory reaches back 3600 s"):
        store.read("v", "ana", START + (9_000 - 3_601) * SECOND)
    with pytest.raises(NotFound, match="view: 'w' is none of v"):
        store.read("w", "ana", START)


def test_what_is_kept_of_a_key_and_the_parts_of_a_read_do_not_grow_with_history():
    store = Incremental([view(Mean())])
    sizes, parts = [], []
    for number in range(30_000):
        store.update(fact(number, 0.5))
        if number % 5_000 == 4_999:
            rows = store._states["v"].keys["ana"]
            newest = rows.rows[-1][0]
            store.read("v", "ana", newest)
            parts.append(len(rows.cover(newest - HOUR_US + 1, newest + 1)))
            sizes.append((len(rows.rows), len(rows.tiles)))
    most = 2 * 2 * 3_601  # twice the window and the grace
    assert all(kept <= most and tiles <= most for kept, tiles in sizes)
    assert max(parts) <= 60


def test_a_burst_at_one_moment_is_one_value():
    store = folded(Incremental([view(Count(), expression=None)]), [fact(number, time=START) for number in range(500)])
    assert store.read("v", "ana", START)["value"] == 500


def test_keys_gone_quiet_are_forgotten():
    store = folded(Incremental([view(Count())]), [fact(1, 1.0), fact(2, 1.0, customer="bo", time=START + 2 * HOUR_US)])
    assert store.expire(START + 2 * HOUR_US + 2 * SECOND) == 1
    assert [store.knows("v", key) for key in ("ana", "bo")] == [False, True]
