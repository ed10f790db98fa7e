"""Is a mean higher in a group than in the rest, among rows that are alike in everything that counts?

Within a stratum, rows are taken to be exchangeable: were the group like the rest, any of the stratum's rows could
as well have been the group's. That gives the mean, variance and skewness of the group's sum without a model of the
values (Mantel, JASA 58, 1963; for flags it is the test of Cochran, Mantel and Haenszel), and Pearson's type III
curve with these three moments gives its tail (Mielke and Berry, Permutation Methods, 2007, 2.3).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from scipy.special import gammainc, gammaincc, ndtr

if TYPE_CHECKING:
    from numpy.typing import NDArray


_SYMMETRIC = 1e-4  # skewness below which the curve is the normal one, to all digits that matter


class Contrast(Struct, frozen=True):
    """A group beside the rest, both standardised to the same mix of strata.

    Attributes:
        group: Mean of the group.
        rest: Mean of the other rows.
        group_size: Rows that an unweighted mean as precise as ``group`` would take, at most the group's rows.
        rest_size: The same of the rest.
        error: Standard error of ``difference``, each side with the variance it has within strata.
        p: Chance of a sum as high in the group, or higher, were it like the rest (one-sided).
    """

    group: float
    rest: float
    group_size: float
    rest_size: float
    error: float
    p: float

    @property
    def difference(self) -> float:
        """How much higher the group's mean is."""
        return self.group - self.rest


def contrast(
    values: NDArray[np.float64],
    group: NDArray[np.bool_],
    strata: NDArray[np.int_],
    weights: NDArray[np.float64] | None = None,
) -> Contrast | None:
    """Compare a group with the rest within strata; None where no stratum holds rows of both.

    Strata weigh ``n1 * n0 / (n1 + n0)`` (Mantel and Haenszel, JNCI 22, 1959), of weighted rows. Flags (0 and
    1) without weights are corrected for continuity, so that p is close to that of the exact conditional test.

    Args:
        values: (n,) numbers.
        group: (n,) whether the row is of the group.
        strata: (n,) from 0.
        weights: (n,) above 0, for how many rows like it each stands; one each when left out.

    >>> values, strata = np.array([1, 1, 1, 0, 0, 1, 0, 0.0]), np.zeros(8, int)
    >>> found = contrast(values, np.arange(8) < 4, strata)
    >>> found.difference, round(found.p, 3)  # Fisher's exact test: 0.243
    (0.5, 0.254)
    """
    count = np.bincount(strata)
    inside = np.bincount(strata, group, minlength=len(count))
    used = (inside > 0) & (inside < count)
    if not used.any():
        return None
    rows = used[strata]
    values, group, strata = values[rows], group[rows], (np.cumsum(used) - 1)[strata[rows]]
    weight = np.ones(len(values)) if weights is None else weights[rows]
    count, inside = count[used], inside[used]
    whole, part = np.bincount(strata, weight), np.bincount(strata, weight * group)
    share = part * (whole - part) / whole
    share /= share.sum()
    total, of_group = np.bincount(strata, weight * values), np.bincount(strata, weight * values * group)
    means = float((share * of_group / part).sum()), float((share * (total - of_group) / (whole - part)).sum())
    # What each row adds to its side's mean, and how far its value is from what its stratum and side explain.
    pull = weight * np.where(group, (share / part)[strata], (share / (whole - part))[strata])
    away = values - (total / whole)[strata]
    left = away - (means[0] - means[1]) * (group - (part / whole)[strata])
    error = math.sqrt(float((pull**2 * left**2 * (count / (count - 1))[strata]).sum()))
    flags = weights is None and bool(((values == 0) | (values == 1)).all())
    excess = float((weight * away)[group].sum()) - (0.5 if flags else 0.0)
    tail = _upper_tail(excess, _permutation_moments(weight * away, strata, count, inside))
    sizes = 1 / float((pull[group] ** 2).sum()), 1 / float((pull[~group] ** 2).sum())  # after Kish
    return Contrast(*means, *sizes, error, tail)


def _permutation_moments(
    away: NDArray[np.float64], strata: NDArray[np.int_], count: NDArray[np.int_], inside: NDArray[np.int_]
) -> tuple[float, float]:
    """Variance and third central moment of the group's sum when its rows are drawn without replacement."""
    second, third = (np.bincount(strata, away**power) / count for power in (2, 3))
    drawn = inside * (count - inside)
    divisor = np.maximum((count - 1) * (count - 2), 1)  # of two rows the sum is symmetric: its numerator is 0
    variance = drawn / (count - 1) * second
    return float(variance.sum()), float((drawn * (count - 2 * inside) / divisor * third).sum())


def _upper_tail(excess: float, moments: tuple[float, float]) -> float:
    """Chance of at least ``excess`` over the mean, by the type III curve: a gamma distribution, moved and scaled."""
    variance, third = moments
    if variance <= 0:
        return 1.0
    z, skewness = excess / math.sqrt(variance), third / variance**1.5
    if abs(skewness) < _SYMMETRIC:
        return float(ndtr(-z))
    shape = 4 / skewness**2
    place = max(shape + 2 * z / skewness, 0.0)
    return float(gammaincc(shape, place) if skewness > 0 else gammainc(shape, place))
