"""Confidence intervals of shares, and of the difference of two."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson(successes: float, trials: float, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided score interval of a share (Wilson, JASA 22, 1927); (0, 1) where nothing was tried.

    Args:
        successes: From 0 to ``trials``.
        trials: How often it was tried; weighted counts need not be whole.
        confidence: Share of such intervals that hold the true value, on average.

    >>> [round(bound, 3) for bound in wilson(90, 100)]
    [0.826, 0.945]
    """
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    middle, scale = share + z * z / (2 * trials), 1 + z * z / trials
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def newcombe(first: tuple[float, float], second: tuple[float, float], confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided interval of the difference of two shares (Newcombe, Statistics in Medicine 17, 1998, method 10).

    Args:
        first: Successes and trials; both may be weighted counts.
        second: The same of the share that is taken away.
        confidence: Share of such intervals that hold the true difference, on average.

    >>> [round(bound, 4) for bound in newcombe((56, 70), (48, 80))]
    [0.0524, 0.3339]
    """
    (low, high), (other_low, other_high) = wilson(*first, confidence), wilson(*second, confidence)
    share, other = (successes / trials if trials else 0.5 for successes, trials in (first, second))
    return (
        share - other - math.hypot(share - low, other_high - other),
        share - other + math.hypot(high - share, other - other_low),
    )
