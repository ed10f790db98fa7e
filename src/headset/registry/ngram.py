"""N-grams of words and characters, cut as scikit-learn's text vectorisers cut them."""

from __future__ import annotations

import re

WORD_PATTERN = r"(?u)\b\w+\b|[?!]"

_WORD = re.compile(WORD_PATTERN)
_SPACES = re.compile(r"\s\s+")


def word_ngrams(text: str, shortest: int, longest: int) -> list[str]:
    """Runs of ``shortest`` to ``longest`` words of the lower-cased ``text``, joined by spaces.

    >>> word_ngrams("where is it?", 1, 2)
    ['where', 'is', 'it', '?', 'where is', 'is it', 'it ?']
    """
    words = _WORD.findall(text)
    ngrams = words if shortest == 1 else []
    for size in range(max(shortest, 2), longest + 1):
        ngrams = ngrams + [" ".join(words[start : start + size]) for start in range(len(words) - size + 1)]
    return ngrams


def character_ngrams(text: str, shortest: int, longest: int) -> list[str]:
    """Runs of ``shortest`` to ``longest`` characters of the lower-cased ``text``, spaces drawn together.

    >>> character_ngrams("a  bc", 3, 3)
    ['a b', ' bc']
    """
    text = _SPACES.sub(" ", text)
    ngrams: list[str] = []
    for size in range(shortest, longest + 1):
        ngrams += [text[start : start + size] for start in range(len(text) - size + 1)]
    return ngrams
