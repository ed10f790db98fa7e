from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.training.baseline import compare, predict_baseline

flags = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


def columns(pairs):
    return (np.array(column, dtype=bool) for column in zip(*pairs, strict=True))


def mcnemar(model_only, baseline_only):
    """Two-sided by doubling the smaller tail, which for one half is the exact test."""
    apart = model_only + baseline_only
    tail = sum(comb(apart, count) for count in range(min(model_only, baseline_only) + 1)) / 2**apart
    return min(1.0, 2 * tail)


@given(flags)
def test_the_p_value_is_that_of_the_exact_mcnemar_test(pairs):
    found = compare(*columns(pairs))
    assert found.p_value == pytest.approx(mcnemar(found.model_only, found.baseline_only))


@given(flags)
def test_only_rows_that_tell_the_two_apart_count(pairs):
    found, padded = compare(*columns(pairs)), compare(*columns([*pairs, (True, True), (False, False)]))
    assert padded.p_value == found.p_value


@given(flags)
def test_the_order_of_the_two_does_not_change_the_p_value(pairs):
    model, baseline = columns(pairs)
    assert compare(model, baseline).p_value == pytest.approx(compare(baseline, model).p_value)


def test_a_better_model_beats_the_baseline_only_beyond_chance():
    assert compare(np.ones(6, dtype=bool), np.zeros(6, dtype=bool)).beaten
    assert not compare(np.ones(5, dtype=bool), np.zeros(5, dtype=bool)).beaten


def test_a_worse_model_does_not_beat_the_baseline():
    assert not compare(np.zeros(60, dtype=bool), np.ones(60, dtype=bool)).beaten


def test_the_baseline_reads_texts_without_letters():
    assert predict_baseline(["???", "!!!"], ["doubt", "anger"], ["??", "!"]) == ["doubt", "anger"]
