"""From margins to confidence that can be believed, and the confidence from which an answer may stand alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.stats import binomtest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NEVER = 1.01
"""The threshold when no confidence reaches the stated precision: no answer is confident enough."""
CERTAINTY = 0.95
_FIRST_SHARE = 0.2
_LOOKS = 81
_COLDEST, _HOTTEST = 1e-3, 1e3


def fit_temperature(margins: NDArray[np.float64], truth: NDArray[np.int_]) -> float:
    """The number that margins are divided by so that softmax gives the likeliest probabilities (Guo et al., ICML 2017).

    Args:
        margins: (n, k), of rows the model has not seen.
        truth: (n,) true classes, from 0.

    >>> sure = np.array([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [4.0, 0.0]])
    >>> round(fit_temperature(sure, np.array([0, 0, 0, 1])), 2)  # 4 / log(3): right three times out of four
    3.64
    """
    rows = np.arange(len(truth))

    def loss(logarithm: float) -> float:
        return -float(np.mean(log_softmax(margins / np.exp(logarithm), axis=1)[rows, truth]))

    found = minimize_scalar(
        loss, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded", options={"xatol": 1e-4}
    )
    return float(np.exp(found.x))


def choose_threshold(confidence: NDArray[np.float64], right: NDArray[np.bool_], target_precision: float) -> float:
    """The lowest confidence from which answers are right at the target rate, with 95 % certainty.

    The shares of rows to answer are tried from 20 % up (from more where that is too few rows to prove anything),
    in a fixed order, each with an exact one-sided binomial test; the search ends at the first that fails. So
    the chance that the precision chosen for lies below the target is at most 5 %, however many shares were tried
    (fixed-sequence testing: Bauer, Statistics in Medicine 10, 1991; Angelopoulos et al., "Learn then Test", 2021).

    Args:
        confidence: (n,) of predictions for rows the model has not seen.
        right: (n,) whether each was right.
        target_precision: Wanted share of right answers among those given, in (0, 1).

    Returns:
        A confidence, or :data:`NEVER`.

    >>> round(choose_threshold(np.linspace(0, 1, 200), np.repeat([False, True], 100), 0.9), 1)
    0.5
    """
    ordered = np.sort(confidence)[::-1]
    chosen = NEVER
    fewest = math.ceil(math.log(1 - CERTAINTY) / math.log(target_precision))
    first = max(fewest, math.ceil(_FIRST_SHARE * len(ordered)))
    if first > len(ordered):
        return NEVER
    for count in np.linspace(first, len(ordered), _LOOKS).astype(int):
        lowest = float(ordered[count - 1])
        answered = confidence >= lowest
        test = binomtest(int(right[answered].sum()), int(answered.sum()), target_precision, "greater")
        if test.pvalue > 1 - CERTAINTY:
            break
        chosen = lowest
    return chosen


def precision_by_label(predicted: NDArray[np.int_], truth: NDArray[np.int_], labels: int) -> tuple[float, ...]:
    """How often each label is right when it is the answer, by the rule of succession (Laplace, 1814).

    Args:
        predicted: (n,) columns of the answers.
        truth: (n,) true columns.
        labels: How many columns there are.

    >>> precision_by_label(np.array([0, 0, 1]), np.array([0, 0, 0]), 3)
    (0.75, 0.3333333333333333, 0.5)
    """
    answers = np.bincount(predicted, minlength=labels)
    right = np.bincount(predicted[predicted == truth], minlength=labels)
    return tuple(((right + 1) / (answers + 2)).tolist())


def assign_folds(
    texts: Sequence[str], labels: Sequence[str], folds: int, generator: np.random.Generator
) -> NDArray[np.int_]:
    """(n,) fold of each row: labels spread evenly, equal texts (but for case and spaces) kept together.

    >>> folds = assign_folds(["Hi", "hi ", "bye"], ["a", "a", "b"], 2, np.random.Generator(np.random.PCG64(0)))
    >>> bool(folds[0] == folds[1])
    True
    """
    places: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        places.setdefault(" ".join(text.lower().split()), []).append(place)
    groups = list(places.values())
    order = generator.permutation(len(groups))
    order = order[np.argsort(np.array([labels[groups[group][0]] for group in order]), kind="stable")]
    fold_of = np.empty(len(texts), int)
    for turn, group in enumerate(order):
        fold_of[groups[group]] = turn % folds
    return fold_of
