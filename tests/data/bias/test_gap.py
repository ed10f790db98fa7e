"""The bias routine: gaps that are there, gaps that are not, and groups too small to say."""

from __future__ import annotations

import numpy as np
import pytest

from headset.core.errors import InvalidInput
from headset.data.bias.gap import find_gaps, measure_bias
from headset.data.bias.outcome import Outcomes, judge_outcomes
from headset.data.bias.report import CALIBRATION, HANDOFF, RECALL


def failed(report):
    return {(one.dimension, one.group, one.measure) for one in report.of("fail")}


def one(report, group, measure):
    return next(each for each in report.findings if (each.group, each.measure) == (group, measure))


def test_a_planted_gap_is_found_where_it_is(draw, seed):
    report = measure_bias(draw(np.random.default_rng(seed), gap=0.12))
    assert report.result == "fail"
    assert ("language", "es", RECALL) in failed(report)
    assert not any(group == "en" for _, group, _ in failed(report))
    found = one(report, "es", RECALL)
    assert found.low < 0.12 < found.high
    assert found.rest - found.value == pytest.approx(found.gap)


def test_a_gap_of_8_points_is_found_and_no_gap_is_not(draw, seed):
    random = np.random.default_rng(seed)
    found = [("es", RECALL) in {f[1:] for f in _fails(draw(random, gap=0.08))} for _ in range(60)]
    false = [bool(_fails(draw(random))) for _ in range(100)]
    assert np.mean(found) >= 0.9  # benchmarks/bias_detection.py measures it closely
    assert np.mean(false) <= 0.05


def test_a_group_that_asks_for_harder_things_is_not_served_worse(seed):
    random = np.random.default_rng(seed)
    spanish = random.random(4_000) < 0.4
    hard = random.random(4_000) < np.where(spanish, 0.8, 0.2)
    right = random.random(4_000) < np.where(hard, 0.75, 0.98)
    assert right[~spanish].mean() - right[spanish].mean() > 0.1
    outcomes = Outcomes(
        np.where(hard, "hard", "easy"), right, np.where(hard, 0.75, 0.98), hard & right & (random.random(4_000) < 0.5),
        {"language": np.where(spanish, "es", "en")},
    )  # fmt: skip
    assert failed(measure_bias(outcomes)) == set()


def test_needless_handoffs_of_a_group_are_found(draw, seed):
    random = np.random.default_rng(seed)
    even = draw(random)
    spanish = even.groups["language"] == "es"
    handed = even.handed_over | (spanish & (random.random(2_000) < 0.15))
    report = measure_bias(Outcomes(even.intents, even.right, even.confidence, handed, even.groups))
    assert failed(report) == {("language", "es", HANDOFF)}


def test_confidence_that_a_group_does_not_earn_is_found(draw, seed):
    even = draw(np.random.default_rng(seed))
    spanish = even.groups["language"] == "es"
    confidence = np.clip(even.confidence + 0.1 * spanish, 0, 1) - 0.1 * ~spanish
    report = measure_bias(Outcomes(even.intents, even.right, np.clip(confidence, 0, 1), even.handed_over, even.groups))
    assert failed(report) == {("language", "es", CALIBRATION)}


def test_a_small_group_never_passes_silently(draw, seed):
    few = np.where(np.arange(2_000) < 30, "few", "many")
    report = measure_bias(draw(np.random.default_rng(seed), recall=1.0, groups={"region": few}))
    found = one(report, "few", RECALL)
    assert found.result == "inconclusive"
    assert found.needs_n >= 73
    assert report.result == "inconclusive"


def test_with_as_many_rows_as_were_asked_for_no_gap_mostly_passes(draw, seed):
    random = np.random.default_rng(seed)
    needed = one(measure_bias(draw(random, rows=300)), "es", RECALL).needs_n
    results = [one_of(find_gaps(draw(random, rows=round(needed / 0.4)))[0]) for _ in range(60)]
    assert np.mean([result == "pass" for result in results]) >= 0.65


def test_a_dimension_with_nothing_to_compare_says_why(draw, seed):
    groups = {"region": np.full(2_000, "north"), "tenure": np.full(2_000, "")}
    report = measure_bias(draw(np.random.default_rng(seed), groups=groups))
    assert set(report.left_out) == {"region", "tenure"}
    assert "one group, north" in report.left_out["region"]
    assert report.left_out["tenure"] == "it is known of no row"


def test_rows_of_unknown_group_have_no_say(draw, seed):
    random = np.random.default_rng(seed)
    region = random.choice(["", "north", "south"], 2_000)
    report = measure_bias(draw(random, groups={"region": region}))
    north = one(report, "north", RECALL)
    assert north.n + north.n_rest == (region != "").sum()


@pytest.mark.parametrize("wrong", [{"margin": 0.0}, {"margin": 1.0}, {"level": -1.0}])
def test_numbers_out_of_range_are_refused(draw, seed, wrong):
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        measure_bias(draw(np.random.default_rng(seed)), **wrong)


def test_no_rows_are_refused(draw, seed):
    with pytest.raises(InvalidInput, match="no labelled row"):
        measure_bias(draw(np.random.default_rng(seed), rows=0))


def test_columns_of_different_length_are_refused():
    with pytest.raises(InvalidInput, match="has 1 rows"):
        judge_outcomes(["a", "a"], np.ones(2), ["a", "a"], threshold=0.5, groups={"language": ["en"]})


def test_figures_of_groups_add_up(draw, seed):
    outcomes = draw(np.random.default_rng(seed))
    figures = {each.group: each for each in measure_bias(outcomes).figures}
    spanish = outcomes.groups["language"] == "es"
    assert figures["es"].n == spanish.sum()
    assert figures["es"].recall == pytest.approx(outcomes.right[spanish].mean())
    assert figures["es"].false_handoff == pytest.approx(outcomes.handed_over[spanish & outcomes.right].mean())


def one_of(findings):
    return next(each.result for each in findings if (each.group, each.measure) == ("es", RECALL))


def _fails(outcomes):
    return {(f.dimension, f.group, f.measure) for f in find_gaps(outcomes)[0] if f.result == "fail"}
