"""How good a classifier is: shares of right answers, and how far its confidence can be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from headset.stats.intervals import wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 15


class Accuracy(Struct, frozen=True):
    """Share of rows labelled right, with its 95 % Wilson interval."""

    value: float
    low: float
    high: float


def accuracy(right: NDArray[np.bool_]) -> Accuracy:
    """Accuracy from (n,) flags, n > 0: was the row labelled right?

    >>> accuracy(np.array([True, True, True, False])).value
    0.75
    """
    return Accuracy(float(np.mean(right)), *wilson(int(np.sum(right)), len(right)))


def confusion_matrix(truth: NDArray[np.int_], predicted: NDArray[np.int_], classes: int) -> NDArray[np.int_]:
    """(classes, classes) counts: row the true class, column the predicted one.

    Args:
        truth: (n,) true classes, from 0.
        predicted: (n,) predicted classes, from 0.
        classes: How many there are.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    cells = np.bincount(truth * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes)


def macro_f1(confusion: NDArray[np.int_]) -> float:
    """Mean over classes of the harmonic mean of precision and recall (van Rijsbergen 1979).

    Classes that occur neither among the true ones nor among the predicted ones are left out.

    Args:
        confusion: Counts as :func:`confusion_matrix` gives them.

    >>> round(macro_f1(np.array([[1, 1], [0, 1]])), 4)
    0.6667
    """
    seen = confusion.sum(axis=0) + confusion.sum(axis=1)
    present = seen > 0
    return float(np.mean(2 * np.diag(confusion)[present] / seen[present]))


def expected_calibration_error(
    confidence: NDArray[np.float64],
    right: NDArray[np.bool_],
    bins: int = BINS,
    weights: NDArray[np.float64] | None = None,
) -> float:
    """Mean gap between confidence and accuracy over equal-width bins (Guo et al., ICML 2017).

    Args:
        confidence: (n,) probability of the predicted class, in [0, 1].
        right: (n,) whether the prediction is right.
        bins: How many; each row counts in the bin ``(low, high]`` its confidence falls in.
        weights: (n,) for how many rows like it each stands; one each when left out.

    >>> round(expected_calibration_error(np.array([0.8, 0.8, 0.8, 0.8]), np.array([True, True, True, False])), 4)
    0.05
    """
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    stands_for = np.ones(len(confidence)) if weights is None else weights
    gap = np.bincount(place, weights=stands_for * (confidence - right), minlength=bins)
    return float(np.abs(gap).sum() / stands_for.sum())


def auroc(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    """Chance that a positive scores higher than a negative, ties counting half (Hanley & McNeil, Radiology 1982).

    Args:
        positive: (n,) scores that should be high, n > 0.
        negative: (m,) scores that should be low, m > 0.

    >>> auroc(np.array([0.9, 0.4]), np.array([0.5, 0.1]))
    0.75
    """
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")
    return float(np.mean(below) / (2 * len(negative)))
