from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.stats.paired import compare_paired, mcnemar, rows_needed, tango

counts = st.integers(0, 60)


@given(counts, counts, st.integers(1, 2_000))
def test_the_interval_holds_the_difference_and_lies_within_its_range(ours, theirs, more):
    rows = ours + theirs + more
    low, high = tango(ours, theirs, rows)
    assert -1 <= low <= (ours - theirs) / rows <= high <= 1


@given(counts, counts, st.integers(1, 2_000))
def test_changing_sides_turns_the_interval(ours, theirs, more):
    rows = ours + theirs + more
    low, high = tango(ours, theirs, rows)
    assert tango(theirs, ours, rows) == pytest.approx((-high, -low), abs=1e-9)


@pytest.mark.parametrize(("ours", "theirs", "rows"), [(12, 2, 50), (3, 0, 200), (30, 40, 1_000)])
def test_the_bounds_are_where_the_score_test_turns(ours, theirs, rows):
    """The score of the most likely shares under the bound, found by search, is the quantile of 95 %."""
    for bound in tango(ours, theirs, rows):
        shares = np.linspace(max(0.0, -bound) + 1e-9, (1 - bound) / 2 - 1e-9, 400_001)
        likelihood = theirs * np.log(shares) + ours * np.log(shares + bound)
        likelihood += (rows - ours - theirs) * np.log(1 - 2 * shares - bound)
        share = shares[likelihood.argmax()]
        score = (ours - theirs - rows * bound) / np.sqrt(rows * (2 * share + bound - bound**2))
        assert abs(score) == pytest.approx(1.96, abs=0.01)


def test_rows_needed_settle_it():
    needed = rows_needed(30, 30, 1_000, 0.01)
    scale = needed / 1_000
    assert tango(round(30 * scale), round(30 * scale), needed)[0] > -0.0102
    assert rows_needed(10, 40, 1_000, 0.01) == 0


def test_without_rows_apart_the_test_says_nothing():
    assert (mcnemar(0, 0), mcnemar(10, 0) < 0.01) == (1.0, True)
    assert compare_paired(0, 0, 100).value == 0


@pytest.mark.slow
def test_the_interval_holds_as_often_as_it_says(seed):
    rng = np.random.Generator(np.random.PCG64(seed))
    for shares in ((0.03, 0.03), (0.05, 0.02), (0.01, 0.0)):
        drawn = rng.multinomial(500, (*shares, 1 - sum(shares)), 400)
        held = [low <= shares[0] - shares[1] <= high for a, b, _ in drawn for low, high in [tango(int(a), int(b), 500)]]
        assert np.mean(held) > 0.92
