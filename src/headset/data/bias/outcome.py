"""What became of the texts a model answered, and whose they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headset.core.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

UNKNOWN = ""
"""Stands for the group of a row of which it is not known; the row then has no say in that dimension."""


@dataclass(frozen=True, eq=False)
class Outcomes:
    """n texts, each of another conversation, and what a model made of them.

    Attributes:
        intents: (n,) the true intents.
        right: (n,) whether the model found it.
        confidence: (n,) how sure it was of its own answer, 0 to 1.
        handed_over: (n,) whether the text went to a person because that was below the threshold.
        groups: By dimension (``language``), the (n,) groups (``es``); :data:`UNKNOWN` where it is not known.
        weights: (n,) for how many texts like it each stands, where some kinds of text are labelled more often than
            others; None where each stands for itself.

    Raises:
        InvalidInput: columns differ in length, or a confidence is not between 0 and 1.
    """

    intents: NDArray[np.str_]
    right: NDArray[np.bool_]
    confidence: NDArray[np.float64]
    handed_over: NDArray[np.bool_]
    groups: Mapping[str, NDArray[np.str_]]
    weights: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        columns = {"right": self.right, "confidence": self.confidence, "handed_over": self.handed_over, **self.groups}
        if self.weights is not None:
            columns["weights"] = self.weights
        for name, column in columns.items():
            if len(column) != len(self.intents):
                raise InvalidInput(name, f"has {len(column)} rows and intents {len(self.intents)}; give one of each")
        if not ((self.confidence >= 0) & (self.confidence <= 1)).all():
            raise InvalidInput("confidence", "holds a value that is not between 0 and 1; give probabilities")

    def __len__(self) -> int:
        return len(self.intents)


def judge_outcomes(
    answers: Sequence[str],
    confidence: NDArray[np.floating],
    truth: Sequence[str],
    *,
    threshold: float,
    groups: Mapping[str, Sequence[str]],
) -> Outcomes:
    """What became of texts that a model scored.

    Args:
        answers: (n,) the intents it found.
        confidence: (n,) how sure it was of each.
        truth: (n,) true intents; one that the model does not know is never found.
        threshold: Confidence from which the model answers alone.
        groups: By dimension, the group of each row.

    >>> found = judge_outcomes(["a", "b"], np.array([0.9, 0.6]), ["a", "a"], threshold=0.8, groups={})
    >>> found.right.tolist(), found.handed_over.tolist()
    ([True, False], [False, True])
    """
    sure = np.clip(confidence.astype(np.float64), 0.0, 1.0)
    intents = np.asarray(truth, np.str_)
    return Outcomes(
        intents=intents,
        right=np.asarray(answers, np.str_) == intents,
        confidence=sure,
        handed_over=sure < threshold,
        groups={dimension: np.asarray(column, np.str_) for dimension, column in groups.items()},
    )
