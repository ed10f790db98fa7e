"""Calibration: known temperatures are found, thresholds keep their promise, folds keep equal texts together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from headset.training.calibration import NEVER, assign_folds, choose_threshold, fit_temperature


@pytest.mark.parametrize("temperature", [0.2, 1.0, 5.0])
def test_a_known_temperature_is_recovered(seed, temperature):
    generator = np.random.default_rng(seed)
    margins = generator.normal(size=(20_000, 5)) * 2 * temperature
    probabilities = softmax(margins / temperature, axis=1)
    truth = (probabilities.cumsum(axis=1) < generator.random((20_000, 1))).sum(axis=1)
    assert fit_temperature(margins, truth) == pytest.approx(temperature, rel=0.05)


def _draw(generator, rows):
    """A model whose precision rises with its confidence; answers above t are right at the rate (1 + t) / 2."""
    confidence = generator.random(rows)
    return confidence, generator.random(rows) < confidence


@pytest.mark.parametrize(("rows", "target"), [(500, 0.8), (2_000, 0.8), (2_000, 0.85)])
def test_the_threshold_misses_its_precision_in_at_most_5_of_100_cases(seed, rows, target):
    generator = np.random.default_rng(seed)
    thresholds = np.array([choose_threshold(*_draw(generator, rows), target) for _ in range(300)])
    given = thresholds < NEVER
    missed = np.mean(given & ((1 + thresholds) / 2 < target))
    excess = np.median(thresholds[given]) - (2 * target - 1) if given.any() else np.nan
    print(  # noqa: T201 - the figure is the test's report
        f"threshold for precision {target}, n={rows}: missed in {missed:.1%} of 300 draws, never chosen in"
        f" {np.mean(~given):.1%}, median excess of the threshold {excess:.3f} (seed {seed})"
    )
    assert missed <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 300)
    assert np.mean(given) > 0.2


def test_a_hopeless_model_never_answers():
    assert choose_threshold(np.linspace(0, 1, 500), np.zeros(500, bool), 0.9) == NEVER


def test_too_few_rows_prove_nothing():
    assert choose_threshold(np.ones(58), np.ones(58, bool), 0.95) == NEVER
    assert choose_threshold(np.ones(59), np.ones(59, bool), 0.95) == 1


def test_a_flawless_model_answers_everything():
    assert choose_threshold(np.linspace(0.5, 1, 500), np.ones(500, bool), 0.95) == 0.5


def test_folds_are_even_for_each_label_and_keep_equal_texts_together(seed):
    texts = [f"text {number}" for number in range(100)] + ["Text  7", "TEXT 8"]
    labels = ["a"] * 50 + ["b"] * 50 + ["a", "a"]
    folds = assign_folds(texts, labels, 5, np.random.default_rng(seed))
    assert (folds[100], folds[101]) == (folds[7], folds[8])
    for label in "ab":
        sizes = np.bincount(folds[:100][np.array(labels[:100]) == label], minlength=5)
        assert sizes.max() - sizes.min() <= 1
