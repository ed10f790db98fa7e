"""How good the risk model is on conversations it has not seen, beside two plain rules.

Every conversation is held out once: five models, each fitted, calibrated and given its thresholds without the fifth it
then predicts. Intervals are percentiles over conversations drawn with replacement (Efron 1979), all turns of one
together; so are those of the difference, which is taken on the same draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from msgspec import Struct

from headset.stats.classification import auroc, confusion_matrix, expected_calibration_error, macro_f1
from headset.training.calibration import assign_folds
from headset.training.risk.model import FOLDS, fit_risk, handoff_threshold, peaks

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from headset.features.definition import FeatureService
    from headset.training.risk.data import RiskData

DRAWS = 2_000
MAJORITY = "the more frequent end"
SENTIMENT = "the turn's sentiment below a threshold"

_TRIED = np.linspace(0.02, 0.98, 97)


class Interval(Struct, frozen=True):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """To three digits.

        >>> str(Interval(0.61, 0.57, 0.65))
        '0.610 (0.570 to 0.650)'
        """
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


class Compared(Struct, frozen=True):
    """Macro-F1 of model and baselines on the same turns.

    Attributes:
        turns: How many.
        model: Of the model.
        majority: Of :data:`MAJORITY`.
        sentiment: Of :data:`SENTIMENT`.
        over_majority: The model's less the baseline's.
        over_sentiment: The same.
    """

    turns: int
    model: Interval
    majority: Interval
    sentiment: Interval
    over_majority: Interval
    over_sentiment: Interval

    @property
    def beaten(self) -> bool:
        """Whether the model beats both by more than chance explains."""
        return self.over_majority.low > 0 and self.over_sentiment.low > 0


class Handoffs(Struct, frozen=True):
    """What the threshold does on unseen conversations.

    Attributes:
        share: Of conversations whose risk reaches it at some turn.
        precision: Share of those that ended badly; 0 where there are none.
        recall: Share of the conversations that ended badly that are among them.
    """

    share: float
    precision: float
    recall: float


class Evaluation(Struct, frozen=True):
    """How good it is.

    Attributes:
        last: At the last customer turn of each conversation.
        every: At every customer turn.
        auroc: At the last turn.
        auroc_every: At every turn.
        calibration_error: Mean gap between risk and share of bad ends, at every turn.
        handoffs: Of the threshold.
    """

    last: Compared
    every: Compared
    auroc: float
    auroc_every: float
    calibration_error: float
    handoffs: Handoffs

    @property
    def beaten(self) -> bool:
        """Whether both baselines are beaten, at the last turn and over all."""
        return self.last.beaten and self.every.beaten


class HeldOut(NamedTuple):
    """What models say of the conversations they were not fitted to, and how good that is.

    Attributes:
        risks: (n,) of each turn.
        evaluation: Of these risks.
    """

    risks: NDArray[np.float64]
    evaluation: Evaluation


def evaluate_risk(
    data: RiskData, service: FeatureService, *, share: float, seed: int, progress: Callable[[float], None]
) -> HeldOut:
    """Hold every conversation out once; see the module.

    Args:
        data: Turns with labels and features.
        service: What the model reads.
        share: Of conversations that may reach the threshold.
        seed: Decides folds and draws.
        progress: Called with the fraction done.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    names, labels = [str(number) for number in data.conversations], [str(label) for label in data.bad]
    folds = assign_folds(names, labels, FOLDS, generator)
    rows = data.rows()
    risks, flagged = np.zeros(len(rows)), np.zeros(len(data.endings), bool)
    last = {rule: np.zeros(len(rows), bool) for rule in ("model", "majority", "sentiment")}
    every = {rule: np.zeros(len(rows), bool) for rule in last}
    for fold in range(FOLDS):
        seen, kept = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        fitted = fit_risk(data, seen, seed, lambda part, fold=fold: progress((fold + part) / FOLDS))  # type: ignore[misc]
        threshold = handoff_threshold(peaks(fitted.unseen, data.conversations[seen]), share)
        risks[kept] = fitted.compiled(service, data, threshold).score([rows[row] for row in kept])
        flagged[data.conversations[kept[risks[kept] >= threshold]]] = True
        for predicted, among in ((last, data.last[seen]), (every, np.ones(len(seen), bool))):
            truth = data.bad[seen][among]
            predicted["model"][kept] = risks[kept] >= best_cut(fitted.unseen[among], truth)
            predicted["majority"][kept] = truth.mean() > 0.5
            predicted["sentiment"][kept] = -data.sentiment[kept] >= best_cut(-data.sentiment[seen][among], truth)
    draws = generator.multinomial(len(data.endings), np.full(len(data.endings), 1 / len(data.endings)), DRAWS)
    found = Evaluation(
        last=_compare(data, data.last, last, draws),
        every=_compare(data, np.ones(len(rows), bool), every, draws),
        auroc=_auroc(risks[data.last], data.endings),
        auroc_every=_auroc(risks, data.bad),
        calibration_error=expected_calibration_error(risks, data.bad),
        handoffs=Handoffs(
            share=float(flagged.mean()),
            precision=float(data.endings[flagged].mean()) if flagged.any() else 0.0,
            recall=float(flagged[data.endings].mean()),
        ),
    )
    return HeldOut(risks, found)


def best_cut(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """The score from which to say yes for the highest macro-F1, of 97 quantiles.

    >>> best_cut(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True])) > 0.2
    True
    """
    tried = np.unique(np.quantile(scores, _TRIED))
    found = [macro_f1(confusion_matrix(truth.astype(int), (scores >= cut).astype(int), 2)) for cut in tried]
    return float(tried[int(np.argmax(found))])


def _compare(
    data: RiskData,
    among: NDArray[np.bool_],
    predicted: dict[str, NDArray[np.bool_]],
    draws: NDArray[np.int_],
) -> Compared:
    truth, conversations = data.bad[among].astype(int), data.conversations[among]
    found = {}
    for rule, said in predicted.items():
        # (conversations, 4) confusion matrices, so that those of a draw are a sum.
        cells = np.zeros((draws.shape[1], 4), np.int64)
        np.add.at(cells, (conversations, 2 * truth + said[among]), 1)
        drawn = [macro_f1(matrix.reshape(2, 2)) for matrix in draws @ cells]
        found[rule] = macro_f1(cells.sum(axis=0).reshape(2, 2)), np.array(drawn)
    value, drawn_model = found["model"]

    def lead(rule: str) -> Interval:
        return _interval(value - found[rule][0], drawn_model - found[rule][1])

    intervals = {rule: _interval(*figures) for rule, figures in found.items()}
    return Compared(turns=len(truth), **intervals, over_majority=lead("majority"), over_sentiment=lead("sentiment"))


def _interval(value: float, drawn: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Interval(float(value), float(low), float(high))


def _auroc(risks: NDArray[np.float64], bad: NDArray[np.bool_]) -> float:
    return auroc(risks[bad], risks[~bad])
