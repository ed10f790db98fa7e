"""Texts as words and marks, and back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_TOKEN = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*|[^\w\s]|_")
_NO_SPACE_BEFORE = frozenset(".,!?;:)]}%…")
_NO_SPACE_AFTER = frozenset("([{$£€#@/")
_NEITHER = frozenset("/-–@_")
END = frozenset(".!?…")


def split_tokens(text: str) -> tuple[str, ...]:
    """Words and marks of ``text``.

    >>> split_tokens("I can't pay, why?")
    ('I', "can't", 'pay', ',', 'why', '?')
    """
    return tuple(_TOKEN.findall(text))


def join_tokens(tokens: Iterable[str]) -> str:
    """A text whose marks stand as people set them.

    >>> join_tokens(("I", "paid", "$", "5", ",", "why", "?"))
    'I paid $5, why?'
    """
    text, glued = "", True
    for token in tokens:
        if not glued and token not in _NO_SPACE_BEFORE and token not in _NEITHER:
            text += " "
        text += token
        glued = token in _NO_SPACE_AFTER or token in _NEITHER
    return text


def normal(text: str) -> str:
    """``text`` with what readers pass over taken out: case, marks and spaces; so near-copies look alike.

    >>> normal("  My card -- LOST! ")
    'my card lost'
    """
    return " ".join(words(text))


def words(text: str) -> list[str]:
    """The words of ``text`` in lower case."""
    return [token.lower() for token in split_tokens(text) if is_word(token)]


def is_word(token: str) -> bool:
    """Whether it is more than a mark."""
    return token[0].isalnum()


def in_case(word: str, like: str) -> str:
    """``word`` with a capital where ``like`` has one.

    >>> in_case("march", "April"), in_case("we", "I")
    ('March', 'we')
    """
    return word.capitalize() if like[0].isupper() and like.upper() != "I" else word


def runs(tokens: Sequence[str], length: int) -> list[tuple[str, ...]]:
    """All runs of ``length`` tokens, in order.

    >>> runs(("a", "b", "c"), 2)
    [('a', 'b'), ('b', 'c')]
    """
    return [tuple(tokens[start : start + length]) for start in range(len(tokens) - length + 1)]
