"""A wheel of fortune: one of several things, each with its own weight."""

from __future__ import annotations

from bisect import bisect
from itertools import accumulate
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

Thing = TypeVar("Thing")


class Wheel(Generic[Thing]):
    """Draws things with probabilities in proportion to their weights.

    Args:
        weights: At least one above 0, none below.

    >>> from random import Random
    >>> Wheel({"never": 0, "always": 2}).draw(Random(1))
    'always'
    """

    def __init__(self, weights: Mapping[Thing, float]) -> None:
        kept = {thing: weight for thing, weight in weights.items() if weight > 0}
        self._things = tuple(kept)
        *self._bounds, self._total = accumulate(kept.values())

    def draw(self, random: Random) -> Thing:
        """One of the things."""
        return self._things[bisect(self._bounds, random.random() * self._total)]
