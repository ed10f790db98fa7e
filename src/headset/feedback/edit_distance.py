"""How much of a suggestion the agent changed before sending it."""

from __future__ import annotations

from rapidfuzz.distance import Levenshtein


def edit_distance(suggested: str, sent: str) -> float:
    """Levenshtein distance divided by the longer length: 0 for equal texts, 1 for nothing in common.

    Counts insertions, deletions and substitutions of code points (Levenshtein 1966). Bit-parallel
    (Hyyrö 2003): two texts of 16,000 characters take about 10 ms.

    >>> edit_distance("You can pay online.", "You can pay online!")
    0.05263157894736842
    >>> edit_distance("", ""), edit_distance("yes", "")
    (0.0, 1.0)
    """
    return Levenshtein.normalized_distance(suggested, sent)
