"""The words of a text, as all checks count them."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")


def words_of(text: str) -> list[str]:
    """Runs of letters in lower case; numbers and punctuation are no words.

    >>> words_of("Where's my card? It was due 3 May.")
    ["where's", 'my', 'card', 'it', 'was', 'due', 'may']
    """
    return _WORD.findall(text.casefold())
