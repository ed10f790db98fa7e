"""How the risk model is fitted: a ridge regression on standardised features, calibrated on unseen conversations.

It learns from every customer turn. Each conversation weighs the same, however long it is, and in it later turns weigh
more: the weight of a turn is its place. Vectors come in as blocks, scaled to the same size. The strength of the penalty
is chosen, and what the regression gives is turned into probabilities by a logistic function (Platt 1999), on
conversations that no fold had seen. Against a logistic regression on the same features the order of turns was equally
good, at a seventh of the time: the penalties share one decomposition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from msgspec import Struct
from sklearn.linear_model import LogisticRegression

from headset.registry.risk import Input, RiskScorer
from headset.training.calibration import NEVER, assign_folds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from headset.features.definition import FeatureService
    from headset.training.risk.data import RiskData

PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Tried in this order; in units of the features' variance."""

VECTOR_WEIGHT = 3.0
"""Root mean square length of a vector, where that of a number is 1."""

FOLDS = 5
LEAST_PER_WORD = 20
"""Turns that a word must occur in to be learned."""

_MOST_WORDS = 100
_CONSTANT = 1e-3  # imported turns without times lie a microsecond apart: seconds between them tell nothing


@dataclass(frozen=True, eq=False)
class FittedRisk:
    """A fitted model.

    Attributes:
        numbers: See :class:`~headset.registry.risk.RiskScorer`; the same for the next three.
        words: What each word adds.
        vectors: Coefficients.
        intercept: The margin of nothing.
        penalty: The strength chosen.
        unseen: (n,) the risk of each turn it was fitted to, by models that had not seen its conversation.
    """

    numbers: NDArray[np.float64]
    words: dict[str, dict[str, float]]
    vectors: NDArray[np.float64]
    intercept: float
    penalty: float
    unseen: NDArray[np.float64]

    def compiled(self, service: FeatureService, data: RiskData, threshold: float) -> RiskScorer:
        """The scorer that serves: the same numbers, none of the libraries."""
        versions = service.versions
        inputs = tuple(
            Input(name, versions[name], kind, data.columns[name].shape[1] if kind == "vector" else 0)
            for name, kind in data.kinds.items()
        )
        parts = (self.numbers, self.words, self.vectors, self.intercept)
        return RiskScorer(inputs, *parts, threshold, service.name, service.version)


def fit_risk(
    data: RiskData, rows: NDArray[np.int_], seed: int, progress: Callable[[float], None] = lambda _: None
) -> FittedRisk:
    """Fit to the turns at the places ``rows`` of ``data``, whole conversations."""
    bad, weights = data.bad[rows].astype(float), turn_weights(data.conversations[rows])
    names, labels = [str(number) for number in data.conversations[rows]], [str(label) for label in bad]
    folds = assign_folds(names, labels, FOLDS, np.random.Generator(np.random.PCG64(seed)))
    unseen = np.zeros((len(PENALTIES), len(rows)))
    for fold in range(FOLDS):
        seen, kept = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        design = _Design(data, rows[seen], weights[seen])
        slopes, intercepts = _ridge(design.matrix(rows[seen]), bad[seen], weights[seen], PENALTIES)
        unseen[:, kept] = (design.matrix(rows[kept]) @ slopes + intercepts).T
        progress((fold + 1) / (FOLDS + 1))
    lines = [_calibrate(margins, bad, weights) for margins in unseen]
    margins = [line.slope * each + line.intercept for line, each in zip(lines, unseen, strict=True)]
    best = int(np.argmin([_loss(each, bad, weights) for each in margins]))
    line, penalty = lines[best], PENALTIES[best]
    design = _Design(data, rows, weights)
    slopes, intercepts = _ridge(design.matrix(rows), bad, weights, (penalty,))
    progress(1.0)
    return design.in_raw_units(
        line.slope * slopes[:, 0],
        line.slope * float(intercepts[0]) + line.intercept,
        penalty=penalty,
        unseen=1 / (1 + np.exp(-margins[best])),
    )


def turn_weights(conversations: NDArray[np.int_]) -> NDArray[np.float64]:
    """(n,) what each turn counts: its place in its conversation, those of one conversation adding up to 1.

    >>> turn_weights(np.array([4, 4, 6])).round(2).tolist()
    [0.33, 0.67, 1.0]
    """
    _, numbers, counts = np.unique(conversations, return_inverse=True, return_counts=True)
    places = np.arange(len(conversations)) - (np.cumsum(counts) - counts)[numbers] + 1.0
    return np.asarray(places / np.bincount(numbers, places)[numbers])


def handoff_threshold(peaks: NDArray[np.float64], share: float) -> float:
    """The lowest risk that at most a ``share`` of conversations ever reaches.

    Args:
        peaks: (n,) the highest risk of each conversation.
        share: In (0, 1).

    >>> peaks = np.array([0.1, 0.2, 0.3, 0.9])
    >>> 0.3 < handoff_threshold(peaks, 0.25) < 0.3001
    True
    """
    count = int(share * len(peaks))
    if count == 0:
        return NEVER
    return float(np.nextafter(np.sort(peaks)[::-1][count], 2.0))


def peaks(risks: NDArray[np.float64], conversations: NDArray[np.int_]) -> NDArray[np.float64]:
    """The highest of ``risks`` in each conversation, in order of their numbers.

    >>> peaks(np.array([0.1, 0.4, 0.2]), np.array([3, 3, 7])).tolist()
    [0.4, 0.2]
    """
    numbers, places = np.unique(conversations, return_inverse=True)
    highest = np.zeros(len(numbers))
    np.maximum.at(highest, places, risks)
    return highest


class _Design:
    """Features as columns of numbers, scaled by what some turns show; what does not vary among them gets no column."""

    def __init__(self, data: RiskData, rows: NDArray[np.int_], weights: NDArray[np.float64]) -> None:
        self._data = data
        self._numbers: dict[str, _Number] = {}
        self._words: dict[str, list[str]] = {}
        self._vectors: dict[str, tuple[NDArray[np.float64], float]] = {}
        shares = weights / weights.sum()
        for name, kind in data.kinds.items():
            if kind == "word":
                self._words[name] = _frequent([data.columns[name][row] or "" for row in rows])
            elif kind == "vector":
                self._vectors[name] = _spread(data.columns[name][rows], shares)
            else:
                self._numbers[name] = _Number.of(data.columns[name][rows], shares)

    def matrix(self, rows: NDArray[np.int_]) -> NDArray[np.float64]:
        """(n, p) of the turns at ``rows``."""
        blocks: list[NDArray[np.float64]] = []
        for name, number in self._numbers.items():
            values = self._data.columns[name][rows]
            missing = np.isnan(values)
            if number.varies:
                scaled = (np.clip(values, number.low, number.high) - number.mean) / number.deviation
                blocks.append(np.where(missing, 0.0, scaled)[:, None])
            if number.sometimes_missing:
                blocks.append(missing[:, None].astype(float))
        for name, words in self._words.items():
            said = np.array([self._data.columns[name][row] or "" for row in rows])
            blocks += [(said == word)[:, None].astype(float) for word in words]
        for name, (mean, scale) in self._vectors.items():
            if scale:
                blocks.append((self._data.columns[name][rows] - mean) * scale)
        return np.hstack(blocks)

    def in_raw_units(
        self, slopes: NDArray[np.float64], intercept: float, *, penalty: float, unseen: NDArray[np.float64]
    ) -> FittedRisk:
        """``slopes`` of the columns as what each feature adds."""
        left = slopes.tolist()[::-1]
        numbers = np.zeros((len(self._numbers), 4))
        for row, number in zip(numbers, self._numbers.values(), strict=True):
            slope = left.pop() / number.deviation if number.varies else 0.0
            missing = left.pop() if number.sometimes_missing else 0.0
            intercept -= slope * number.mean
            row[:] = number.low, number.high, slope, missing + slope * number.mean
        words = {name: {word: left.pop() for word in known} for name, known in self._words.items()}
        vectors = []
        for mean, scale in self._vectors.values():
            part = np.array([left.pop() for _ in mean]) * scale if scale else np.zeros(len(mean))
            intercept -= float(part @ mean)
            vectors.append(part)
        return FittedRisk(numbers, words, np.concatenate([np.zeros(0), *vectors]), float(intercept), penalty, unseen)


class _Number(Struct, frozen=True):
    """What training has seen of one number."""

    low: float
    high: float
    mean: float
    deviation: float
    sometimes_missing: bool

    @property
    def varies(self) -> bool:
        return self.deviation > _CONSTANT

    @classmethod
    def of(cls, values: NDArray[np.float64], shares: NDArray[np.float64]) -> _Number:
        known = ~np.isnan(values)
        if not known.any():
            return cls(0.0, 0.0, 0.0, 0.0, sometimes_missing=False)
        values, shares = values[known], shares[known] / shares[known].sum()
        mean = float(values @ shares)
        deviation = float(np.sqrt(np.square(values - mean) @ shares))
        return cls(float(values.min()), float(values.max()), mean, deviation, sometimes_missing=not known.all())


def _frequent(words: list[str]) -> list[str]:
    """The words worth a column, in order of name; none where all are the same."""
    known, counts = np.unique(words, return_counts=True)
    frequent = sorted(zip(-counts, known.tolist(), strict=True))[:_MOST_WORDS]
    return sorted(word for count, word in frequent if LEAST_PER_WORD <= -count < len(words))


def _spread(vectors: NDArray[np.float32], shares: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The mean vector, and what the distances from it are multiplied by; 0 where there are none."""
    mean = shares @ vectors
    size = float(np.sqrt(shares @ np.square(vectors - mean).sum(axis=1)))
    return mean, VECTOR_WEIGHT / size if size > _CONSTANT else 0.0


def _ridge(
    matrix: NDArray[np.float64], bad: NDArray[np.float64], weights: NDArray[np.float64], penalties: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted ridge regression: (p, k) slopes and (k,) intercepts for k penalties (Hoerl & Kennard 1970)."""
    shares = weights / weights.sum()
    center, level = shares @ matrix, float(shares @ bad)
    matrix = (matrix - center) * np.sqrt(shares)[:, None]
    values, directions = np.linalg.eigh(matrix.T @ matrix)
    along = directions.T @ (matrix.T @ ((bad - level) * np.sqrt(shares)))
    slopes = np.stack([directions @ (along / (values + penalty)) for penalty in penalties], axis=1)
    return slopes, level - center @ slopes


class _Line(NamedTuple):
    slope: float
    intercept: float


def _calibrate(margins: NDArray[np.float64], bad: NDArray[np.float64], weights: NDArray[np.float64]) -> _Line:
    """What makes margins log odds; margins that order nothing, or wrongly, are worth only the share of bad ends."""
    model = LogisticRegression(C=np.inf).fit(margins[:, None], bad, sample_weight=weights)
    slope = float(model.coef_[0, 0])
    if slope > 0:
        return _Line(slope, float(model.intercept_[0]))
    share = float(bad @ weights / weights.sum())
    return _Line(0.0, float(np.log(share / (1 - share))))


def _loss(margins: NDArray[np.float64], bad: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Weighted log loss."""
    return float(np.logaddexp(0, np.where(bad > 0, -margins, margins)) @ weights / weights.sum())
