"""Generator: the same request in other words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.data.synthetic.row import Candidate
from headset.data.synthetic.token import END, in_case, is_word, join_tokens

if TYPE_CHECKING:
    from random import Random

    from headset.data.synthetic.domain import Domain, Tokens
    from headset.data.synthetic.neighbour import Neighbours

_CONTRACTIONS = {
    "i'm": ("i", "am"), "i've": ("i", "have"), "i'd": ("i", "would"), "i'll": ("i", "will"), "it's": ("it", "is"),
    "don't": ("do", "not"), "doesn't": ("does", "not"), "didn't": ("did", "not"), "can't": ("can", "not"),
    "won't": ("will", "not"), "isn't": ("is", "not"), "wasn't": ("was", "not"), "hasn't": ("has", "not"),
    "haven't": ("have", "not"), "couldn't": ("could", "not"), "what's": ("what", "is"), "where's": ("where", "is"),
    "how's": ("how", "is"), "there's": ("there", "is"), "that's": ("that", "is"), "you're": ("you", "are"),
    "they're": ("they", "are"), "we're": ("we", "are"), "you've": ("you", "have"), "wouldn't": ("would", "not"),
}  # fmt: skip
_CONTRACTED = {long: short for short, long in _CONTRACTIONS.items()}
_CLAUSE = frozenset({",", ";", *END})
_SHARE = 0.3
_LEAST_CLAUSE = 2


class Paraphrase:
    """Replaces words by their neighbours, contracts and expands, and turns clauses around.

    Args:
        domain: What is known.
        neighbours: Which word may stand for which.
    """

    name = "paraphrase"

    def __init__(self, domain: Domain, neighbours: Neighbours) -> None:
        self._domain = domain
        self._neighbours = neighbours

    def draw(self, intent: str, random: Random) -> Candidate:
        """See :class:`Generator`."""
        text, tokens = random.choice(self._domain.examples[intent])
        if random.random() < 0.5:
            tokens = turn_clauses(tokens)
        tokens = recontract(tokens, random)
        changed = tuple(self._replaced(word, random) for word in tokens)
        return Candidate(join_tokens(changed), (text,))

    def _replaced(self, word: str, random: Random) -> str:
        near = self._neighbours.of(word) if random.random() < _SHARE else []
        return in_case(random.choice(near), word) if near else word


def recontract(tokens: Tokens, random: Random) -> Tokens:
    """English contractions expanded, and pairs of words contracted, each by the toss of a coin."""
    told: list[str] = []
    place = 0
    while place < len(tokens):
        word = tokens[place].replace("\u2019", "'")
        pair = tuple(one.lower() for one in tokens[place : place + 2])
        if word.lower() in _CONTRACTIONS and random.random() < 0.5:
            told += _as_first(_CONTRACTIONS[word.lower()], word)
        elif len(pair) == 2 and pair in _CONTRACTED and random.random() < 0.5:
            told += _as_first((_CONTRACTED[pair],), word)
            place += 1
        else:
            told.append(tokens[place])
        place += 1
    return tuple(told)


def _as_first(words: Tokens, like: str) -> Tokens:
    first = words[0].capitalize() if like[0].isupper() or words[0].startswith("i'") or words[0] == "i" else words[0]
    return (first, *words[1:])


def turn_clauses(tokens: Tokens) -> Tokens:
    """The last clause first.

    >>> turn_clauses(("My", "card", "is", "gone", ".", "What", "now", "?"))
    ('What', 'now', '?', 'My', 'card', 'is', 'gone', '.')
    """
    cuts = [place + 1 for place, mark in enumerate(tokens[:-1]) if mark in _CLAUSE]
    cuts = [cut for cut in cuts if _words(tokens[:cut]) >= _LEAST_CLAUSE <= _words(tokens[cut:])]
    if not cuts:
        return tokens
    first, last = tokens[: cuts[-1]], tokens[cuts[-1] :]
    if first[-1] in END:
        return (*last, *first) if last[-1] in END else (*last, ".", *first)
    end = last[-1:] if last[-1] in END else ()
    return (*last[: len(last) - len(end)], ",", *first[:-1], *end)


def _words(tokens: Tokens) -> int:
    return sum(map(is_word, tokens))
