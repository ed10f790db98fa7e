from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headset.stats.classification import auroc
from headset.stats.roc import auroc_interval


@given(st.floats(0, 1), st.integers(1, 500), st.integers(1, 500))
def test_the_interval_holds_the_area(value, positives, negatives):
    low, high = auroc_interval(value, positives, negatives)
    assert 0 <= low <= value <= high <= 1


def test_more_rows_narrow_it():
    widths = [high - low for rows in (20, 200, 2_000) for low, high in [auroc_interval(0.9, rows, rows)]]
    assert widths == sorted(widths, reverse=True)


def test_it_holds_as_often_as_it_says(seed):
    rng = np.random.Generator(np.random.PCG64(seed))
    truth, held = 0.8556, []  # of two normal scores 1.5 standard deviations apart
    for _ in range(300):
        area = auroc(rng.normal(1.5, 1, 150), rng.normal(0, 1, 80))
        low, high = auroc_interval(area, 150, 80)
        held.append(low <= truth <= high)
    assert np.mean(held) > 0.92
