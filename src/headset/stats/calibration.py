"""How sure one may be of a calibration error that was measured on few rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from headset.stats.classification import BINS, expected_calibration_error

if TYPE_CHECKING:
    from numpy.typing import NDArray


class CalibrationError(Struct, frozen=True):
    """The expected calibration error, less what chance alone adds to it, and its 95 % interval.

    Attributes:
        measured: As :func:`~headset.stats.classification.expected_calibration_error` gives it.
        value: Less its bias, 0 or more.
        low: Lower bound.
        high: Upper bound.
    """

    measured: float
    value: float
    low: float
    high: float


def calibration_interval(
    confidence: NDArray[np.float64],
    right: NDArray[np.bool_],
    random: np.random.Generator,
    *,
    draws: int = 500,
    groups: NDArray[np.int_] | None = None,
) -> CalibrationError:
    """Bootstrap interval of the expected calibration error (Efron & Tibshirani 1993; Bröcker & Smith 2007).

    Each bin's gap counts as positive, so a perfect model has an error above zero on every finite set of rows, and a
    resample doubles that. The interval is the basic one: it takes the difference between resamples and rows for the
    difference between rows and truth, which removes that bias.

    Args:
        confidence: (n,) probability of the predicted class, in [0, 1].
        right: (n,) whether the prediction is right.
        random: Decides the resamples.
        draws: How many.
        groups: (n,) from 0: rows of one group are drawn together; each row alone when left out.

    >>> rng = np.random.Generator(np.random.PCG64(7))
    >>> sure = rng.uniform(0.5, 1, 2_000)
    >>> found = calibration_interval(sure, rng.uniform(size=2_000) < sure, rng)
    >>> found.low == 0.0, found.high < 0.05
    (True, True)
    """
    measured = expected_calibration_error(confidence, right)
    rows = len(confidence)
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gap = confidence - right
    errors = np.empty(draws)
    if groups is None:
        for draw in range(draws):
            chosen = random.integers(0, rows, rows)
            errors[draw] = np.abs(np.bincount(place[chosen], weights=gap[chosen], minlength=BINS)).sum() / rows
    else:
        sizes = np.bincount(groups)
        gaps = np.bincount(groups * BINS + place, weights=gap, minlength=len(sizes) * BINS).reshape(-1, BINS)
        drawn = random.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), draws)
        errors = np.abs(drawn @ gaps).sum(axis=1) / (drawn @ sizes)
    lower, upper = np.quantile(errors, (0.025, 0.975))
    value = max(0.0, 2 * measured - float(errors.mean()))
    return CalibrationError(
        measured, value, max(0.0, 2 * measured - float(upper)), max(value, 2 * measured - float(lower))
    )
