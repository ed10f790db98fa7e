"""Words that may stand for another: near it in the embedding, or found between the same words."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from headset.data.synthetic.token import is_word

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from headset.data.synthetic.domain import Domain

_VOCABULARY = 4_000
_NEAR = 0.55
_NEAR_IN_CONTEXT = 0.35
_KEPT = 6
_CROWDED = 40


class Neighbours:
    """For each common word of a domain the common words that may replace it.

    Two words are neighbours when their embeddings are close, or less close but both occur between one pair of words
    ("top __ my" holds *up* and *off*): the distributional hypothesis (Harris, "Distributional Structure", 1954).

    Args:
        domain: Whose words.
        encode: Gives (n, dim) unit vectors.
    """

    def __init__(self, domain: Domain, encode: Callable[[Sequence[str]], NDArray[np.float32]]) -> None:
        words = domain.vocabulary(_VOCABULARY)
        self._near: dict[str, list[str]] = {}
        if not words:
            return
        vectors = encode(words)
        places = {word: place for place, word in enumerate(words)}
        contexts = _contexts(domain, places)
        for place, (word, likeness) in enumerate(zip(words, vectors @ vectors.T, strict=True)):
            together = {
                other
                for context in contexts[0][place]
                if len(contexts[1][context]) <= _CROWDED
                for other in contexts[1][context]
            }
            order = np.argsort(-likeness, kind="stable")
            near = (
                words[other]
                for other in order.tolist()
                if other != place
                and words[other].isalpha()
                and likeness[other] >= (_NEAR_IN_CONTEXT if other in together else _NEAR)
            )
            self._near[word] = list(islice(near, _KEPT)) if word.isalpha() else []

    def of(self, word: str) -> list[str]:
        """The nearest first; none for a rare word, a mark or a number."""
        return self._near.get(word.lower(), [])


def _contexts(
    domain: Domain, places: dict[str, int]
) -> tuple[defaultdict[int, set[tuple[str, str]]], defaultdict[tuple[str, str], set[int]]]:
    """Contexts by word, and words by context."""
    by_word: defaultdict[int, set[tuple[str, str]]] = defaultdict(set)
    by_context: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for examples in domain.examples.values():
        for _, tokens in examples:
            lowered = ["", *(token.lower() for token in tokens), ""]
            for left, word, right in zip(lowered, lowered[1:], lowered[2:], strict=False):
                if is_word(word or " ") and word in places and (left or right):
                    by_word[places[word]].add((left, right))
                    by_context[left, right].add(places[word])
    return by_word, by_context
