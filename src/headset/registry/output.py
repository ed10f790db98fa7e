"""What models that were not made by Headset answer, turned into the scores that serving reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from msgspec import Meta, Struct

from headset.core.errors import ModelFailed
from headset.registry.scorer import Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

Gives = Literal["probabilities", "margins", "confidence", "label"]
Share = Annotated[float, Meta(ge=0, le=1)]
_LEAST = 1e-9
_SUM_ERROR = 1e-3


class Output(Struct, frozen=True, forbid_unknown_fields=True):
    """How the (n, k) numbers of a model are read.

    Attributes:
        gives: ``probabilities``, which sum to one; ``margins``, any finite numbers; ``confidence``, in the column of
            the answer, all others 0; or ``label``, 1 in that column.
        temperature: What margins, or logarithms of probabilities, are divided by.
        precision: Of ``label``: how often each of the k labels is right when it is the answer.

    >>> Output("label", precision=(0.9, 0.6)).scores(np.array([[0.0, 1.0]]), rows=1, labels=2).probabilities
    array([[0.4, 0.6]])
    """

    gives: Gives
    temperature: Annotated[float, Meta(gt=0)] = 1.0
    precision: tuple[Share, ...] = ()

    def scores(self, values: NDArray[np.float64], *, rows: int, labels: int) -> Scores:
        """The scores of ``rows`` texts among ``labels`` intents.

        Raises:
            ModelFailed: the numbers have another shape, are not finite, or are not what the model is said to give.
        """
        check_values(values, self.gives, rows=rows, labels=labels)
        if self.gives in {"confidence", "label"}:
            return self._of_answers(values)
        margins = values if self.gives == "margins" else np.log(np.maximum(values, _LEAST))
        best = margins.max(axis=1, initial=-np.inf)
        weights = np.exp((margins - best[:, None]) / self.temperature)
        probabilities = weights / weights.sum(axis=1, keepdims=True)
        return Scores(probabilities, best if self.gives == "margins" else _log_odds(np.exp(best)))

    def _of_answers(self, values: NDArray[np.float64]) -> Scores:
        """What an answer leaves of certainty is spread evenly over the other labels."""
        rows, labels = np.arange(len(values)), values.shape[1]
        column = values.argmax(axis=1)
        said = np.array(self.precision)[column] if self.gives == "label" else values[rows, column]
        confidence = np.maximum(said, 1 / labels + _LEAST)  # the answer stays the most probable label
        probabilities = np.repeat((1 - confidence)[:, None] / (labels - 1), labels, axis=1)
        probabilities[rows, column] = confidence
        return Scores(probabilities, _log_odds(confidence))


def check_values(values: NDArray[np.float64], gives: Gives, *, rows: int, labels: int) -> None:
    """Refuse numbers that no scores can be read from.

    Raises:
        ModelFailed: see :meth:`Output.scores`.
    """
    if values.shape != (rows, labels):
        raise ModelFailed(f"the model gave an array {values.shape} for {rows} texts and {labels} labels")
    if not np.isfinite(values).all():
        raise ModelFailed("the model gave a number that is not finite")
    if gives == "margins":
        return
    if (values < 0).any() or (values > 1 + _SUM_ERROR).any():
        raise ModelFailed(f"the model gave {gives} outside 0 to 1")
    if gives == "probabilities" and (np.abs(values.sum(axis=1) - 1) > _SUM_ERROR).any():
        raise ModelFailed("the model gave probabilities that do not sum to one")


def _log_odds(share: NDArray[np.float64]) -> NDArray[np.float64]:
    bounded = np.clip(share, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(bounded / (1 - bounded)), np.float64)
