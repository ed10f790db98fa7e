"""Two classifiers on the same rows: is the one better, and by how much at least and at most?

Rows that both get right, or both wrong, say nothing about which is better; rows that only one gets right do.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from msgspec import Struct
from scipy.stats import binomtest

_HALVINGS = 60


class PairedDifference(Struct, frozen=True):
    """Accuracy of the one minus that of the other, with its interval, and the test of their being equal.

    Attributes:
        value: Difference of the shares of right rows, -1 to 1.
        low: Lower bound of its interval.
        high: Upper bound.
        p_value: Two-sided, of the exact McNemar test.
    """

    value: float
    low: float
    high: float
    p_value: float


def compare_paired(ours: int, theirs: int, rows: int, confidence: float = 0.95) -> PairedDifference:
    """Compare two classifiers on the same ``rows``.

    Args:
        ours: Rows that only the one got right.
        theirs: Rows that only the other got right.
        rows: All rows, n > 0.
        confidence: Share of such intervals that hold the true difference, on average.

    >>> found = compare_paired(30, 10, 1_000)
    >>> round(found.value, 3), round(found.low, 4), round(found.high, 4), round(found.p_value, 4)
    (0.02, 0.008, 0.0336, 0.0022)
    """
    low, high = tango(ours, theirs, rows, confidence)
    return PairedDifference((ours - theirs) / rows, low, high, mcnemar(ours, theirs))


def mcnemar(ours: int, theirs: int) -> float:
    """Two-sided p-value of the exact test (McNemar, Psychometrika 12, 1947); 1 where no row tells them apart.

    Under equal skill each row that one got right and the other wrong falls to either side with probability one half.

    >>> mcnemar(8, 1)
    0.0390625
    """
    apart = ours + theirs
    return float(binomtest(ours, apart, 0.5).pvalue) if apart else 1.0


def tango(ours: int, theirs: int, rows: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of the difference of paired shares (Tango, Statistics in Medicine 17, 1998).

    The interval holds all differences that the score test does not refuse. It keeps what it promises where few rows
    tell the two apart, down to none.

    Args:
        ours: Rows that only the one got right.
        theirs: Rows that only the other got right.
        rows: All rows, n > 0.
        confidence: Share of such intervals that hold the true difference, on average.

    >>> [round(bound, 4) for bound in tango(0, 0, 100)]
    [-0.037, 0.037]
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    value = (ours - theirs) / rows
    low = _bound(ours, theirs, rows, value, -1.0, z)
    high = _bound(ours, theirs, rows, value, 1.0, z)
    return low, high


def rows_needed(ours: int, theirs: int, rows: int, margin: float, confidence: float = 0.95) -> int:
    """How many rows in all would put the interval above ``-margin``, were the shares to stay; 0 where none would.

    >>> rows_needed(30, 30, 1_000, 0.01)
    2305
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    slack = (ours - theirs) / rows + margin
    if slack <= 0:
        return 0
    apart = max((ours + theirs) / rows, 1 / rows)
    return math.ceil(apart * (z / slack) ** 2 - 1e-9)


def _bound(ours: int, theirs: int, rows: int, inside: float, outside: float, z: float) -> float:
    """The last difference, on the way from ``inside`` to ``outside``, that the score test does not refuse."""
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        if _score(ours, theirs, rows, middle) <= z:
            inside = middle
        else:
            outside = middle
    return inside


def _score(ours: int, theirs: int, rows: int, difference: float) -> float:
    """How many standard errors the data are from a true ``difference``."""
    # The share of rows that only the other gets right, most likely under that difference, solves a quadratic.
    linear = -ours - theirs + (2 * rows - ours + theirs) * difference
    constant = -theirs * difference * (1 - difference)
    share = (math.sqrt(max(0.0, linear**2 - 8 * rows * constant)) - linear) / (4 * rows)
    variance = rows * (2 * share + difference * (1 - difference))
    gap = abs(ours - theirs - rows * difference)
    return gap / math.sqrt(variance) if variance > 0 else (math.inf if gap > 0 else 0.0)
