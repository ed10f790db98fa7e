"""A small grammar for the texts people send, and the habits they type them with.

A template is text with choices and slots: ``I (need|want) {thing}(, please|)``. Choices may be nested and
empty; a slot is replaced by one of its values, which may hold slots again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

_CHOICE = re.compile(r"\(([^()]*)\)")
_SLOT = re.compile(r"\{(\w+)\}")
_LOOSE_SPACE = re.compile(r"\s+")
_LOOSE_COMMA = re.compile(r"\s*,\s*(?=[,.?!]|$)|\s+(?=[,.?!])")
_SENTENCE_START = re.compile(r"(^|[.?!] )([a-z])")
_LONG_WORD = re.compile(r"[A-Za-z]{5,}")
_ASKS = frozenset(
    "am are can could did do does has how is may what when where which who why will would".split()  # noqa: SIM905
)
_SHORT_FORMS = {
    "please": "pls",
    "you": "u",
    "your": "ur",
    "are": "r",
    "because": "cause",
    "and": "&",
    "something": "smth",
    "internet": "inet",
    "number": "no.",
    "month": "mth",
    "about": "abt",
    "thanks": "thx",
}
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBOURS = {key: row[max(0, at - 1) : at] + row[at + 1 : at + 2] for row in _ROWS for at, key in enumerate(row)}


def expand(template: str, slots: Mapping[str, Sequence[str]], random: Random) -> str:
    """One of the texts a template stands for.

    Raises:
        KeyError: the template names a slot that ``slots`` lacks.

    >>> from random import Random
    >>> expand("(Hello|Hi), my {thing} is broken", {"thing": ["phone", "router"]}, Random(3))
    'Hello, my phone is broken'
    """
    text = template
    while _CHOICE.search(text):
        text = _CHOICE.sub(lambda match: random.choice(match[1].split("|")), text)
    while _SLOT.search(text):
        text = _SLOT.sub(lambda match: random.choice(slots[match[1]]), text)
    return _LOOSE_COMMA.sub("", _LOOSE_SPACE.sub(" ", text)).strip()


def punctuate(text: str) -> str:
    """``text`` as a careful writer ends and capitalises it.

    >>> punctuate("where is my phone"), punctuate("it broke. i dropped it")
    ('Where is my phone?', 'It broke. I dropped it.')
    """
    if text[-1] not in ".?!":
        text += "?" if text.split(maxsplit=1)[0].lower() in _ASKS else "."
    return _SENTENCE_START.sub(lambda match: match[1] + match[2].upper(), text)


def type_casually(text: str, random: Random) -> str:
    """``text`` as one particular person in a hurry types it: case, marks, short forms and slips vary."""
    if random.random() < 0.35:
        return text
    if random.random() < 0.5:
        text = text.lower()
    if random.random() < 0.4:
        text = text.replace("'", "")
    if random.random() < 0.45:
        text = text.rstrip(".?")
    elif random.random() < 0.12:
        text = text.rstrip(".?") + random.choice(["!!", "??", "...", "!!!", " :(", "?!"])
    if random.random() < 0.12:
        text = " ".join(_SHORT_FORMS.get(word, word) for word in text.split(" "))
    if random.random() < 0.3:
        for _ in range(random.choice([1, 1, 2, 3])):
            text = _slip(text, random)
    return text.upper() if random.random() < 0.015 else text


def _slip(text: str, random: Random) -> str:
    """One typing mistake inside a long word: letters swapped, lost, doubled or missed by a key."""
    words = list(_LONG_WORD.finditer(text))
    if not words:
        return text
    word = random.choice(words)
    at = random.randrange(word.start() + 1, word.end() - 1)
    letter, following = text[at], text[at + 1]
    slip = random.choice([following + letter, following, letter * 2 + following, _near(letter, random) + following])
    return text[:at] + slip + text[at + 2 :]


def _near(letter: str, random: Random) -> str:
    return random.choice(_NEIGHBOURS.get(letter) or letter)
