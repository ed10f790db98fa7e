"""How sure one may be of an area under a ROC curve."""

from __future__ import annotations

import math
from statistics import NormalDist

_HALVINGS = 60


def auroc_interval(value: float, positives: int, negatives: int, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of an area under the ROC curve (Newcombe, Statistics in Medicine 25, 2006, method 5).

    It keeps what it promises up to an area of 1, where bootstrap and DeLong give an interval without width.

    Args:
        value: The area, 0 to 1.
        positives: Rows that should score high, over 0.
        negatives: Rows that should score low, over 0.
        confidence: Share of such intervals that hold the true value, on average.

    >>> [round(bound, 3) for bound in auroc_interval(1.0, 50, 50)]
    [0.96, 1.0]
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    others = (positives + negatives) / 2 - 1

    def refused(area: float) -> bool:
        spread = 1 + others * ((1 - area) / (2 - area) + area / (1 + area))
        return abs(value - area) > z * math.sqrt(area * (1 - area) * spread / (positives * negatives))

    bounds = []
    for outside in (0.0, 1.0):
        inside, beyond = value, outside
        for _ in range(_HALVINGS):
            middle = (inside + beyond) / 2
            if refused(middle):
                beyond = middle
            else:
                inside = middle
        bounds.append(inside)
    return bounds[0], bounds[1]
