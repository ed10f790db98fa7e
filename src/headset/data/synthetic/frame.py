"""Generator: the same request between the openings and closings that customers of all intents use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.data.synthetic.domain import without_end
from headset.data.synthetic.row import Candidate
from headset.data.synthetic.token import join_tokens

if TYPE_CHECKING:
    from random import Random

    from headset.data.synthetic.domain import Domain, Tokens

_LEAST_CORE = 2


class Frame:
    """Takes a known opening or closing off a text, and puts others around what is left.

    Openings and closings are phrases of frequent intents: they bring in how customers talk when they talk about
    something else, and are shared by so many texts that they are nobody's.

    Args:
        domain: What is known.
    """

    name = "frame"

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._openings = _weighted(domain.openings)
        self._closings = _weighted(domain.closings)

    def draw(self, intent: str, random: Random) -> Candidate | None:
        """See :class:`Generator`."""
        text, tokens = random.choice(self._domain.examples[intent])
        body = without_end(tokens)
        end = tokens[len(body) :]
        begin = _longest(body, self._domain.openings, first=True)
        close = _longest(body[begin:], self._domain.closings, first=False)
        core = body[begin : len(body) - close]
        opening, closing = body[:begin], body[len(body) - close :]
        if len(core) < _LEAST_CORE:
            return None
        if self._openings[0] and random.random() < (0.9 if begin else 0.5):
            (opening,) = random.choices(*self._openings)
        if self._closings[0] and random.random() < (0.5 if close else 0.2):
            (closing,) = random.choices(*self._closings)
        return Candidate(join_tokens((*opening, *core, *closing, *end)), (text,))


def _weighted(frames: dict[Tokens, int]) -> tuple[list[Tokens], list[float]]:
    """Frames with their weight: long ones say more, frequent ones are more natural."""
    return list(frames), [len(run) * count**0.5 for run, count in frames.items()]


def _longest(tokens: Tokens, frames: dict[Tokens, int], *, first: bool) -> int:
    """Length of the longest frame that ``tokens`` begin or end with, and that leaves something over."""
    lowered = tuple(token.lower() for token in tokens)
    for length in range(min(5, len(tokens) - _LEAST_CORE), 0, -1):
        if (lowered[:length] if first else lowered[-length:]) in frames:
            return length
    return 0
