"""How people type in a chat: in a hurry, each in their own way."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from headset.twin.phrasebook import Typing

_CAREFUL_RATIO = 0.35
_WORD = re.compile(r"[^\W\d_]+")
_LONG_WORD = re.compile(r"[^\W\d_]{5,}")
_SENTENCE_BREAK = re.compile(r"[.!] (?=\S)")
_OPENING_MARKS = str.maketrans("", "", "¿¡")
_ENDINGS = ("!!", "??", "...", "!!!", " :(", "?!", " :/", " 🙏", " 😡", " 😕", " 🤔", "!")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBOURS = {key: row[max(0, at - 1) : at] + row[at + 1 : at + 2] for row in _ROWS for at, key in enumerate(row)}


def write_chat(text: str, typing: Typing, random: Random) -> str:
    """``text``, carefully punctuated, as one particular person types it.

    Some type carefully. The others vary in case, marks, short forms, letters of the language and slips;
    who leaves out accents does so in every word.
    """
    chance = random.random
    careful = chance() < _CAREFUL_RATIO
    if typing.opening_mark and chance() < (0.5 if careful else 0.93):
        text = text.translate(_OPENING_MARKS)
    if careful:
        return text
    if chance() < 0.15:
        text = _shorten(text, typing, random)
    text = _change_marks(_change_letters(text, typing, random), random)
    if chance() < 0.3:
        for _ in range(random.choice((1, 1, 2, 3))):
            text = _slip(text, random)
    return text.upper() if chance() < 0.015 else text


def _change_letters(text: str, typing: Typing, random: Random) -> str:
    if random.random() < 0.5:
        text = text.lower()
    if random.random() < 0.4:
        text = text.replace("'", "")
    if typing.folded and random.random() < _folding_ratio(typing):
        for letter, plain in typing.folded.items():
            text = text.replace(letter, plain)
    return text


def _change_marks(text: str, random: Random) -> str:
    if random.random() < 0.15:
        text = _SENTENCE_BREAK.sub(random.choice((" ", ", ", "... ", "\n")), text)
    if random.random() < 0.15:
        text = text.replace(", ", " ")
    if random.random() < 0.5:
        text = text.rstrip(".?")
    elif random.random() < 0.14:
        text = text.rstrip(".?!") + random.choice(_ENDINGS)
    return text


def _folding_ratio(typing: Typing) -> float:
    """Leaving an accent out saves a key, and many do it; writing ae for ä costs one, and few do."""
    return 0.45 if all(len(plain) <= 1 for plain in typing.folded.values()) else 0.12


def _shorten(text: str, typing: Typing, random: Random) -> str:
    for form, short in typing.short_forms.items():
        if " " in form:
            text = text.replace(form, short)
    return _WORD.sub(lambda word: _short_form(word[0], typing, random), text)


def _short_form(word: str, typing: Typing, random: Random) -> str:
    short = typing.short_forms.get(word) or typing.short_forms.get(word.lower())
    return word if short is None or random.random() < 0.3 else short


def _slip(text: str, random: Random) -> str:
    """One typing mistake inside a long word: letters swapped, lost, doubled or missed by a key."""
    words = [match.span() for match in _LONG_WORD.finditer(text)]
    if not words:
        return text
    start, end = random.choice(words)
    at = random.randrange(start + 1, end - 1)
    letter, following = text[at], text[at + 1]
    slip = random.choice((following + letter, following, letter * 2 + following, _near(letter, random) + following))
    return text[:at] + slip + text[at + 2 :]


def _near(letter: str, random: Random) -> str:
    return random.choice(_NEIGHBOURS.get(letter) or letter)
