"""The filter that keeps synthetic texts from being near-copies of what a customer wrote.

A text is a near-copy when, case and marks apart,

- it is at least as similar to one real text as :data:`SIMILAR`: 1 - Levenshtein distance / longer length; or
- it shares a run of :data:`RUN` words with a real text, and fewer than :data:`CROWD` different real texts have that
  run. What many people write is nobody's (the idea of k-anonymity: Sweeney, 2002).

Both are exact. The first looks only at real texts that share enough runs of three characters: one edit changes at
most three of them (Gravano et al., "Approximate String Joins in a Database (Almost) for Free", VLDB 2001).
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from rapidfuzz.distance import Levenshtein

from headset.data.synthetic.token import normal, runs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

SIMILAR = 0.8
RUN = 6
CROWD = 3
_GRAM = 3


class PrivacyFilter:
    """Knows all real texts, indexed.

    Args:
        texts: What customers wrote; all of it, held-out texts too.

    >>> known = PrivacyFilter(["I lost my new card in Madrid on Monday"])
    >>> known.is_near_copy("i lost my card in Madrid, on Monday!"), known.is_near_copy("Where did my card go?")
    (True, False)
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = sorted({normal(text) for text in texts})
        self._lengths = np.array([len(text) for text in self._texts], dtype=np.int64)
        holders: defaultdict[str, list[int]] = defaultdict(list)
        crowd: defaultdict[tuple[str, ...], int] = defaultdict(int)
        for place, text in enumerate(self._texts):
            for gram in _grams(text):
                holders[gram].append(place)
            for run in set(runs(text.split(), RUN)):
                crowd[run] += 1
        self._holders = {gram: np.array(places, dtype=np.int64) for gram, places in holders.items()}
        self._rare_runs = {run for run, count in crowd.items() if count < CROWD}

    def is_near_copy(self, text: str) -> bool:
        """Whether ``text`` must not be kept."""
        plain = normal(text)
        return self._shares_run(plain) or self._is_similar(plain)

    def _shares_run(self, plain: str) -> bool:
        return any(run in self._rare_runs for run in runs(plain.split(), RUN))

    def _is_similar(self, plain: str) -> bool:
        for place in self._may_be_similar(plain):
            text = self._texts[place]
            edits = _edits(max(len(plain), len(text)))
            if Levenshtein.distance(plain, text, score_cutoff=edits) <= edits:
                return True
        return False

    def _may_be_similar(self, plain: str) -> NDArray[np.int64]:
        """Places of the texts that are long and alike enough; every similar one is among them."""
        longest = math.floor(len(plain) / SIMILAR)
        edits = _edits(longest)
        near = (self._lengths >= math.ceil(len(plain) * SIMILAR)) & (self._lengths <= longest)
        grams = _grams(plain)
        least = len(grams) - _GRAM * edits
        if least > 0:
            known = [self._holders[gram] for gram in grams if gram in self._holders]
            if len(known) < least:
                return np.empty(0, np.int64)
            near &= np.bincount(np.concatenate(known), minlength=len(self._texts)) >= least
        return np.flatnonzero(near)


def _edits(length: int) -> int:
    """How many edits leave two texts similar, the longer of which has this length."""
    return math.floor((1 - SIMILAR) * length + 1e-9)


def _grams(text: str) -> set[str]:
    return {text[start : start + _GRAM] for start in range(len(text) - _GRAM + 1)}
