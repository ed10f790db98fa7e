"""Changes to a text that do not change what the customer wants, and some that do."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from random import Random

Noise = Callable[[str, Random], str]
"""Gives another text; the same where there is nothing to change."""

_WORD = re.compile(r"[^\W\d_]{4,}")
_MARKS = re.compile(r"[.,;:!?¿¡…'\"()\-]+")
_NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)?(?![\w.,]*\d)")
_NAMES = ("Anna", "Mehmet", "Chidi", "Mei Ling", "José", "Fatima", "Olga", "Liam", "Priya", "Kwame", "Svenja", "Yusuf")
_GREETINGS = ("Hi there, ", "Good morning. ", "Hello, ", "Hey, ")
_THANKS = (" Thanks!", " Thank you very much.", " Thanks in advance", " Cheers.")


def add_typo(text: str, random: Random) -> str:
    """One slip in one word of four letters or more: neighbours swapped, a letter dropped, or one doubled."""
    words = list(_WORD.finditer(text))
    if not words:
        return text
    word = random.choice(words)
    place = random.randrange(word.start() + 1, word.end() - 1)
    before, here, behind = text[:place], text[place], text[place + 1 :]
    slip = random.randrange(3)
    if slip == 0:
        return before + behind[:1] + here + behind[1:]
    return before + behind if slip == 1 else before + here + here + behind


def change_case(text: str, random: Random) -> str:
    """All capitals, or none."""
    return text.upper() if random.random() < 0.5 else text.lower()


def change_punctuation(text: str, random: Random) -> str:
    """None, or too much at the end."""
    bare = " ".join(_MARKS.sub(" ", text).split())
    return bare if random.random() < 0.5 or not bare else f"{text.rstrip(' .!?')}{random.choice(('!!!', '...', '??'))}"


def drop_accents(text: str, _random: Random) -> str:
    """Letters without their accents.

    >>> drop_accents("¿Dónde está?", Random(7))
    '¿Donde esta?'
    """
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(sign for sign in decomposed if not unicodedata.combining(sign)))


def add_greeting(text: str, random: Random) -> str:
    """A greeting before it, or thanks after it."""
    return random.choice(_GREETINGS) + text if random.random() < 0.5 else text + random.choice(_THANKS)


def change_details(text: str, random: Random) -> str:
    """Every number is another one of as many digits; where there is none, the customer says a name."""
    if _NUMBER.search(text) is None:
        return f"My name is {random.choice(_NAMES)}. {text}"
    return _NUMBER.sub(lambda found: re.sub(r"\d", lambda _: str(random.randint(1, 9)), found.group()), text)


def garble(text: str, random: Random) -> str:
    """The letters of every word shuffled."""
    return re.sub(r"\w+", lambda word: "".join(random.sample(word.group(), len(word.group()))), text)


NOISES: dict[str, Noise] = {
    "typos": add_typo,
    "case": change_case,
    "punctuation": change_punctuation,
    "accents": drop_accents,
    "greetings": add_greeting,
    "details": change_details,
}
"""What must not change an intent, by name."""
