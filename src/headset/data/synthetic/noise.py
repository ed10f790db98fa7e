"""Generator: what another generator made, as it comes from a phone in a hurry or through a speech recogniser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.data.synthetic.row import Candidate
from headset.data.synthetic.token import is_word, join_tokens, split_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from headset.data.synthetic.row import Generator

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_ALIKE: tuple[tuple[str, ...], ...] = (
    ("to", "too", "two"), ("for", "four"), ("there", "their"), ("your", "you're"), ("its", "it's"), ("hear", "here"),
    ("know", "no"), ("right", "write"), ("buy", "by", "bye"), ("cent", "sent"), ("week", "weak"), ("wait", "weight"),
    ("new", "knew"), ("one", "won"), ("are", "our"), ("then", "than"), ("need", "knead"), ("pay", "bay"),
)  # fmt: skip
_SOUNDS_LIKE = {word: tuple(other for other in family if other != word) for family in _ALIKE for word in family}
_FILLERS = ("um", "uh", "so", "well", "like", "er")
_FUNCTION_WORDS = frozenset(
    ["a", "an", "the", "to", "of", "is", "are", "my", "i", "do", "does", "can", "on", "in", "for", "with", "it", "that"]
)


class Noise:
    """Types, or hears, what another generator drew.

    Args:
        generators: The others.
    """

    name = "noise"

    def __init__(self, generators: Sequence[Generator]) -> None:
        self._generators = generators

    def draw(self, intent: str, random: Random) -> Candidate | None:
        """See :class:`Generator`."""
        drawn = random.choice(self._generators).draw(intent, random)
        if drawn is None:
            return None
        garble = type_hastily if random.random() < 0.6 else mishear
        text = garble(drawn.text, random)
        return Candidate(text, drawn.sources) if any(map(is_word, split_tokens(text))) else None


def type_hastily(text: str, random: Random) -> str:
    """Slips to neighbouring keys, letters left out, doubled or swapped, words and marks missing, case as it falls."""
    tokens = [
        _slip(token, random) if is_word(token) and random.random() < 0.15 else token
        for token in split_tokens(text)
        if random.random() >= (0.3 if not is_word(token) or token.lower() in _FUNCTION_WORDS else 0.02)
    ]
    told = join_tokens(tokens)
    case = random.random()
    return told.lower() if case < 0.6 else told.upper() if case < 0.65 else told


def mishear(text: str, random: Random) -> str:
    """As a recogniser writes: no marks or capitals, words that sound alike, fillers kept, small words lost."""
    heard: list[str] = []
    for token in split_tokens(text):
        word = token.lower()
        if not is_word(token) or (word in _FUNCTION_WORDS and random.random() < 0.15):
            continue
        if random.random() < 0.06:
            heard.append(random.choice(_FILLERS))
        alike = _SOUNDS_LIKE.get(word)
        heard.append(random.choice(alike) if alike and random.random() < 0.3 else word)
    return " ".join(heard)


def near_keys(letter: str) -> str:
    """Letters beside and above or below ``letter`` on a QWERTY keyboard.

    >>> near_keys("g")
    'fhtb'
    """
    for row, letters in enumerate(_ROWS):
        place = letters.find(letter)
        if place < 0:
            continue
        beside = letters[max(place - 1, 0) : place] + letters[place + 1 : place + 2]
        around = (_ROWS[other][place : place + 1] for other in (row - 1, row + 1) if 0 <= other < len(_ROWS))
        return beside + "".join(around)
    return ""


def _slip(word: str, random: Random) -> str:
    place = random.randrange(len(word))
    match random.randrange(4):
        case 0 if keys := near_keys(word[place].lower()):
            return word[:place] + random.choice(keys) + word[place + 1 :]
        case 1 if len(word) > 2:
            return word[:place] + word[place + 1 :]
        case 2 if place + 1 < len(word):
            return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
        case _:
            return word[:place] + word[place] + word[place:]
