"""Holm's adjustment: the definition, its order, and the chance of any false rejection."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headset.stats.multiplicity import holm


@given(st.lists(st.floats(0, 1), max_size=30))
def test_adjusting_keeps_the_order_and_never_makes_a_p_value_smaller(p_values):
    adjusted = holm(p_values)
    assert all(after >= min(before, 1) for before, after in zip(p_values, adjusted, strict=True))
    assert all(adjusted[first] <= adjusted[second] for first, second in _ordered(p_values))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_smallest_is_multiplied_by_the_size_of_the_family(p_values):
    assert np.isclose(holm(p_values).min(), min(min(p_values) * len(p_values), 1))


def test_any_false_rejection_is_as_rare_as_promised(seed):
    p_values = np.random.default_rng(seed).random((4_000, 20))
    assert np.mean([(holm(row) <= 0.05).any() for row in p_values]) < 0.06


def _ordered(p_values):
    order = np.argsort(p_values, kind="stable")
    return pairwise(order)
