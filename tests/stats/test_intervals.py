"""Intervals of shares and their differences: known values, bounds, coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.stats.intervals import newcombe, wilson


def test_a_published_value():
    """Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@given(trials=st.integers(0, 1_000), data=st.data())
def test_the_interval_holds_the_share_and_stays_between_0_and_1(trials, data):
    successes = data.draw(st.integers(0, trials))
    low, high = wilson(successes, trials)
    assert 0 <= low < high <= 1
    assert trials == 0 or low <= successes / trials + 1e-12
    assert trials == 0 or successes / trials <= high + 1e-12


def test_95_of_100_intervals_hold_the_truth(seed):
    successes = np.random.default_rng(seed).binomial(200, 0.1, 2_000)
    held = np.mean([low <= 0.1 <= high for low, high in (wilson(int(count), 200) for count in successes)])
    print(f"Wilson 95 % interval, n=200, share 0.1: covers in {held:.1%} of 2,000 draws (seed {seed})")  # noqa: T201 - the figure is the test's report
    assert 0.93 < held < 0.98


def test_published_differences():
    """Newcombe, Statistics in Medicine 17 (1998), table II, method 10: (a) 56/70 and 48/80, (c) 6/7 and 2/7."""
    assert newcombe((56, 70), (48, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert newcombe((6, 7), (2, 7)) == pytest.approx((0.0582, 0.8062), abs=5e-5)


def test_few_rows_that_are_all_right_say_little():
    low, high = newcombe((8, 8), (900, 1_000))
    assert low < -0.2
    assert high < 0.15
