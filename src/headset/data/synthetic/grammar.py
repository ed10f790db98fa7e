"""Generator: a back-off grammar, which walks from word to word as the texts of the intent do."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from headset.data.synthetic.row import Candidate
from headset.data.synthetic.token import is_word, join_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from headset.data.synthetic.domain import Domain, Tokens

_ORDER = 2
_BACK_OFF = 0.25
_DOMAIN_SHARE = 0.08
_DOMAIN_TEXTS = 20_000
_SOURCES = 4
_LONGEST = 60
_LEAST = 3

Places = dict["Tokens", list[tuple[str, str]]]


class Grammar:
    """An n-gram grammar of each intent, interpolated with that of the whole domain.

    A step looks for where the last two words were said, backs off to the last word where nobody said both (or by the
    toss of a coin, which makes new sentences), and goes on as one of those texts did (Katz, IEEE TASSP 35, 1987;
    interpolation after Jelinek & Mercer 1980). Each step knows which text it followed, so a sentence knows its sources.

    Args:
        domain: What is known.
    """

    name = "grammar"

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._intents: dict[str, Places] = {}
        all_texts = [example for examples in domain.examples.values() for example in examples]
        self._whole = _places(all_texts[:: max(1, len(all_texts) // _DOMAIN_TEXTS)])

    def draw(self, intent: str, random: Random) -> Candidate | None:
        """See :class:`Generator`."""
        if intent not in self._intents:
            self._intents[intent] = _places(self._domain.examples[intent])
        own = self._intents[intent]
        said: list[str] = []
        given: dict[str, int] = {}
        while len(said) < _LONGEST:
            places = self._whole if said and random.random() < _DOMAIN_SHARE else own
            step = _step(places, said, random) or _step(own, said, random)
            if step is None:
                return None
            source, token = step
            if not token:
                break
            said.append(token)
            given[source] = given.get(source, 0) + 1
        if not sum(map(is_word, said)) >= _LEAST or not 1 < len(given) <= _SOURCES:
            return None
        return Candidate(join_tokens(said), tuple(sorted(given, key=lambda source: (-given[source], source))))


def _places(examples: Iterable[tuple[str, Tokens]]) -> Places:
    """Where each run of up to :data:`_ORDER` words is said: the text and the word after; "" ends a text."""
    places: defaultdict[Tokens, list[tuple[str, str]]] = defaultdict(list)
    for text, tokens in examples:
        lowered = ("", *(token.lower() for token in tokens))
        for place, following in enumerate((*tokens, ""), start=1):
            for order in range(1, _ORDER + 1):
                if order <= place:
                    places[lowered[place - order : place]].append((text, following))
    return dict(places)


def _step(places: Places, said: list[str], random: Random) -> tuple[str, str] | None:
    history = ("", *(token.lower() for token in said))
    for order in range(min(_ORDER, len(history)), 0, -1):
        found = places.get(tuple(history[-order:]))
        if found and (order == 1 or random.random() >= _BACK_OFF):
            return random.choice(found)
    return None
