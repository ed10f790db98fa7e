"""The stratified comparison: beside the exact test, with a mix that differs, and with weights."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom

from headset.stats.stratified import contrast


def exact(flags, group, strata):
    """Chance of as many flags in the group or more, given all margins: hypergeometric counts, added up."""
    chances, lowest = np.ones(1), 0
    for stratum in np.unique(strata):
        rows = strata == stratum
        whole, flagged, drawn = int(rows.sum()), int(flags[rows].sum()), int(group[rows].sum())
        low, high = max(0, drawn + flagged - whole), min(drawn, flagged)
        chances = np.convolve(chances, hypergeom.pmf(np.arange(low, high + 1), whole, flagged, drawn))
        lowest += low
    return chances[int((flags * group).sum()) - lowest :].sum()


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7])
def test_the_tail_is_that_of_the_exact_test_or_a_little_larger(share, seed):
    random = np.random.default_rng(seed)
    for _ in range(20):
        strata, group = random.integers(0, 12, 1_500), random.random(1_500) < share
        flags = (random.random(1_500) < 0.08 + 0.05 * group).astype(float)
        assert contrast(flags, group, strata).p == pytest.approx(exact(flags, group, strata), rel=0.35, abs=1e-7)


def test_a_mix_that_differs_is_no_difference(seed):
    random = np.random.default_rng(seed)
    group = random.random(20_000) < 0.4
    strata = (random.random(20_000) < np.where(group, 0.8, 0.2)).astype(int)
    flags = (random.random(20_000) < np.where(strata == 1, 0.3, 0.05)).astype(float)
    assert flags[group].mean() - flags[~group].mean() > 0.1
    found = contrast(flags, group, strata)
    assert abs(found.difference) < 0.02
    assert found.p > 0.01


def test_the_error_is_how_much_differences_spread(seed):
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(400):
        strata, group = random.integers(0, 8, 600), random.random(600) < 0.3
        drawn.append(contrast(random.normal(0.1 * group, 0.3), group, strata))
    assert np.std([each.difference for each in drawn]) == pytest.approx(
        np.mean([each.error for each in drawn]), rel=0.1
    )


def test_weights_undo_what_is_seen_more_often(seed):
    random = np.random.default_rng(seed)
    group = random.random(60_000) < 0.4
    flags = (random.random(60_000) < np.where(group, 0.3, 0.2)).astype(float)
    seen = random.random(60_000) < np.where(flags == 1, 1.0, 0.2)
    weights = np.where(flags == 1, 1.0, 5.0)
    found = contrast(flags[seen], group[seen], random.integers(0, 30, seen.sum()), weights[seen])
    assert found.difference == pytest.approx(0.1, abs=0.02)
    assert found.group_size < group[seen].sum()


def test_without_rows_of_both_in_a_stratum_there_is_nothing_to_compare():
    assert contrast(np.ones(4), np.array([True, True, False, False]), np.array([0, 0, 1, 1])) is None


def test_values_that_are_all_alike_are_no_evidence():
    assert contrast(np.ones(10), np.arange(10) < 5, np.zeros(10, int)).p == 1.0
