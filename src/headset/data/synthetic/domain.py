"""What a data set says about how its customers write: the ground that all generators stand on."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from headset.data.synthetic.token import END, is_word, split_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMON = 3
"""A word or phrase is nobody's own once so many different texts have it."""

_FRAME = range(1, 6)
_FRAME_INTENTS = 3
_FRAME_SHARE = 0.15

Tokens = tuple[str, ...]


class Domain:
    """Texts with their intents, and what is common to them.

    Args:
        texts: (n,) texts to learn from; generators see no others.
        labels: (n,) their intents.

    Attributes:
        examples: Tokens of the different texts of each intent, with the text itself.
        openings: How texts of many intents begin: a run of tokens and how many texts begin so.
        closings: The same of their ends.
    """

    def __init__(self, texts: Sequence[str], labels: Sequence[str]) -> None:
        self.examples: dict[str, list[tuple[str, Tokens]]] = {}
        for text, label in sorted(set(zip(texts, labels, strict=True))):
            if tokens := split_tokens(text):
                self.examples.setdefault(label, []).append((text, tokens))
        counts: Counter[str] = Counter()
        begins: defaultdict[Tokens, Counter[str]] = defaultdict(Counter)
        ends: defaultdict[Tokens, Counter[str]] = defaultdict(Counter)
        for label, examples in self.examples.items():
            for _, tokens in examples:
                lowered = tuple(token.lower() for token in tokens)
                for word in set(filter(is_word, lowered)):
                    counts[word] += 1
                body = without_end(lowered)
                for length in _FRAME:
                    if length < len(body):
                        begins[body[:length]][label] += 1
                        ends[body[-length:]][label] += 1
        self._counts = counts
        intents = min(max(_FRAME_INTENTS, round(_FRAME_SHARE * len(self.examples))), len(self.examples))
        self.openings, self.closings = _frames(begins, intents), _frames(ends, intents)

    def is_common(self, word: str) -> bool:
        """Whether so many texts have it that it tells nothing of one customer."""
        return self._counts[word.lower()] >= COMMON

    def vocabulary(self, limit: int) -> list[str]:
        """The most common words, in order of the alphabet."""
        ranked = sorted((-count, word) for word, count in self._counts.items() if count >= COMMON)
        return sorted(word for _, word in ranked[:limit])


def _frames(found: dict[Tokens, Counter[str]], intents: int) -> dict[Tokens, int]:
    """Runs that begin or end texts of several intents, and of enough texts to be nobody's."""
    return {
        run: labels.total()
        for run, labels in sorted(found.items())
        if len(labels) >= intents and labels.total() >= COMMON
    }


def without_end(tokens: Tokens) -> Tokens:
    """``tokens`` without the mark that ends the text."""
    return tokens[:-1] if tokens and tokens[-1] in END else tokens
