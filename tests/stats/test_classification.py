"""Measures of a classifier agree with their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as reference_confusion
from sklearn.metrics import f1_score, roc_auc_score

from headset.stats.classification import accuracy, auroc, confusion_matrix, expected_calibration_error, macro_f1
from headset.stats.intervals import wilson

PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40).map(np.array)


@given(pairs=PAIRS)
def test_confusion_and_f1_equal_scikit_learn(pairs):
    confusion = confusion_matrix(pairs[:, 0], pairs[:, 1], 4)
    assert np.array_equal(confusion, reference_confusion(pairs[:, 0], pairs[:, 1], labels=range(4)))
    assert macro_f1(confusion) == pytest.approx(f1_score(pairs[:, 0], pairs[:, 1], average="macro"))


def test_auroc_equals_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    positive, negative = generator.integers(0, 9, 50) / 9, generator.integers(0, 7, 80) / 9
    truth = np.repeat([1, 0], [50, 80])
    assert auroc(positive, negative) == pytest.approx(roc_auc_score(truth, np.concatenate([positive, negative])))


def test_calibration_error_of_a_calibrated_model_is_small_and_of_a_boaster_is_its_boast(seed):
    generator = np.random.default_rng(seed)
    confidence = generator.uniform(0.3, 0.9, 50_000)
    right = generator.random(50_000) < confidence
    assert expected_calibration_error(confidence, right) < 0.01
    assert expected_calibration_error(confidence + 0.1, right) == pytest.approx(0.1, abs=0.01)


def test_calibration_error_counts_the_borders():
    assert expected_calibration_error(np.array([0.0, 1.0]), np.array([False, True])) == 0


def test_accuracy_carries_its_interval():
    share = accuracy(np.array([True] * 9 + [False]))
    assert (share.value, (share.low, share.high)) == (0.9, wilson(9, 10))
