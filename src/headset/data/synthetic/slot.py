"""Generator: the same sentence about another amount, day or thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.data.synthetic.domain import COMMON
from headset.data.synthetic.row import Candidate
from headset.data.synthetic.token import in_case, is_word, join_tokens

if TYPE_CHECKING:
    from random import Random

    from headset.data.synthetic.domain import Domain

_FAMILIES: tuple[tuple[str, ...], ...] = (
    ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    ("january", "february", "march", "april", "june", "july", "august", "september", "october", "november", "december"),
    ("$", "£", "€"),
    ("dollar", "euro", "pound"),
    ("dollars", "euros", "pounds"),
    ("usd", "eur", "gbp", "aud", "chf"),
    ("day", "week", "month", "year"),
    ("days", "weeks", "months", "hours"),
    ("yesterday", "today", "recently"),
    ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    ("first", "second", "third"),
)
_FAMILY = {word: family for family in _FAMILIES for word in family}
_SWAPPED = 0.6
_LEAST_SHARED = 2


class Slot:
    """Finds what could as well be something else, and puts that in.

    Numbers become others of as many digits; words of a closed family (days, months, currencies, spans of time) another
    of it; and a word becomes one that the intent's other texts have between the same two words.

    Args:
        domain: What is known.
    """

    name = "slot"

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._fillers = _fillers(domain)

    def draw(self, intent: str, random: Random) -> Candidate | None:
        """See :class:`Generator`."""
        text, tokens = random.choice(self._domain.examples[intent])
        lowered = ["", *(token.lower() for token in tokens), ""]
        told = [self._filled(token, lowered[place], lowered[place + 2], random) for place, token in enumerate(tokens)]
        return None if told == list(tokens) else Candidate(join_tokens(told), (text,))

    def _filled(self, token: str, left: str, right: str, random: Random) -> str:
        word = token.lower()
        if random.random() >= _SWAPPED:
            return token
        if word.isdecimal() and word.isascii():
            return "".join(random.choice("123456789" if place == 0 else "0123456789") for place in range(len(word)))
        family = _FAMILY.get(word) or self._fillers.get((left, right), ())
        others = [other for other in family if other != word]
        return in_case(random.choice(others), token) if others else token


def _fillers(domain: Domain) -> dict[tuple[str, str], tuple[str, ...]]:
    """Common words by the two words around them, where the place is one that several words take."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for examples in domain.examples.values():
        for _, tokens in examples:
            lowered = ["", *(token.lower() for token in tokens), ""]
            for left, word, right in zip(lowered, lowered[1:], lowered[2:], strict=False):
                if left and right and is_word(word) and domain.is_common(word):
                    counts = found.setdefault((left, right), {})
                    counts[word] = counts.get(word, 0) + 1
    return {
        context: tuple(sorted(counts))
        for context, counts in found.items()
        if len(counts) >= _LEAST_SHARED and sum(counts.values()) >= COMMON
    }
