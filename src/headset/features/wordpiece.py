"""WordPiece: words cut into the longest known pieces, left to right.

Source: Schuster & Nakajima, "Japanese and Korean voice search", ICASSP 2012; the normalisation is that of
uncased BERT (Devlin et al., NAACL 2019): lower case, accents stripped, marks split off. One difference:
a symbol such as ``€`` is split off like a punctuation mark.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_IDEOGRAPH = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_IDEOGRAPH}]|[^\W_{_IDEOGRAPH}]+|[^\w\s]|_")
_LONGEST_WORD = 100
_CACHED_WORDS = 20_000


class WordPiece:
    """A tokenizer over one vocabulary.

    Args:
        vocabulary: Piece to id; pieces that continue a word start with ``##``.

    >>> WordPiece({"pay": 5, "##ment": 7, "!": 9}).ids("Payment!")
    [5, 7, 9]
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._vocabulary = vocabulary
        self._cut = lru_cache(_CACHED_WORDS)(self._cut_word)

    def ids(self, text: str) -> list[int]:
        """Ids of the pieces of ``text``; a word that the vocabulary cannot spell is left out."""
        text = text.lower()
        if not text.isascii():
            marks = unicodedata.normalize("NFD", text)
            text = "".join(mark for mark in marks if unicodedata.category(mark) != "Mn")
        return [piece for word in _WORD.findall(text) for piece in self._cut(word)]

    def _cut_word(self, word: str) -> tuple[int, ...]:
        if len(word) > _LONGEST_WORD:
            return ()
        ids: list[int] = []
        start, prefix = 0, ""
        while start < len(word):
            for end in range(len(word), start, -1):
                known = self._vocabulary.get(prefix + word[start:end])
                if known is not None:
                    ids.append(known)
                    break
            else:
                return ()
            start, prefix = end, "##"
        return tuple(ids)
