"""Generator: the same request in other words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.data.synthetic.row import Candidate
from headset.data.synthetic.token import END, is_word, join_tokens

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

    def draw(self, intent: str, random: Random) -> Candidate | None:
        """See :class:`Generator`."""
        text, tokens = random.choice(self._domain.examples[intent])
        if random.random() < 0.5:
            tokens = turn_clauses(tokens)
        tokens = recontract(tokens, random)
        changed = tuple(self._replaced(token, random) for token in tokens)
        return None if changed == tokens and len(tokens) < 2 else Candidate(join_tokens(changed), (text,))

    def _replaced(self, token: str, random: Random) -> str:
        near = self._neighbours.of(token) if random.random() < _SHARE else []
        if not near:
            return token
        chosen = random.choice(near)
        return chosen.capitalize() if token[0].isupper() and token != "I" else chosen


def recontract(tokens: Tokens, random: Random) -> Tokens:
    """English contractions expanded, and pairs of words contracted, each by the toss of a coin."""
    told: list[str] = []
    place = 0
    while place < len(tokens):
        token = tokens[place].replace("’", "'")
        pair = tuple(one.lower() for one in tokens[place : place + 2])
        if token.lower() in _CONTRACTIONS and random.random() < 0.5:
            told += _as_first(_CONTRACTIONS[token.lower()], token)
        elif len(pair) == 2 and pair in _CONTRACTED and random.random() < 0.5:
            told += _as_first((_CONTRACTED[pair],), token)
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
    cuts = [place + 1 for place, token in enumerate(tokens[:-1]) if token in _CLAUSE]
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
