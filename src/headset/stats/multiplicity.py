"""Many tests at once: p-values that may be read as if there had been one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p-values (Holm, Scandinavian Journal of Statistics 6, 1979).

    Rejecting where the adjusted p is at most ``level`` makes any false rejection among all tests at most that
    probable, whichever hypotheses are true and however the tests depend on each other.

    Args:
        p_values: (n,) of the whole family, in any order.

    Returns:
        (n,) in the same order, at most 1.

    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p_values, float)
    order = np.argsort(given, kind="stable")
    stepped = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    adjusted = np.empty(len(given))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
