"""What a recipe is worth: metrics of rows it was not fitted to, fold by fold, and in the end of rows no trial saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from scipy.special import log_softmax

from headset.stats.classification import confusion_matrix, macro_f1
from headset.training.analysis import Analysis, out_of_fold
from headset.training.calibration import assign_folds, fit_temperature
from headset.training.pipeline import in_order
from headset.training.sample import widest_rows
from headset.training.split import check_trainable, hold_out, set_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from headset.data.dataset import Dataset
    from headset.features.encoder import Encoder
    from headset.training.recipe import Recipe
    from headset.training.search.request import SearchRequest

_DRAWS = 2_000
_TEST_ROWS = 20_000
_RANGE = (2.5, 97.5)


class Difference(Struct, frozen=True):
    """One recipe beside another on the same rows.

    Attributes:
        value: The metric of the one.
        other: The metric of the other.
        difference: By how much the one is better.
        low: Lower end of the 95 % interval of the difference.
        high: Its upper end.
        rows: How many rows.
    """

    value: float
    other: float
    difference: float
    low: float
    high: float
    rows: int

    @property
    def beyond_noise(self) -> bool:
        """True when even the lower end of the interval is better."""
        return self.low > 0


class Objective:
    """Texts of a search, analysed once, and the folds that every recipe is judged on.

    Args:
        data: To learn from.
        test: To measure the best on; None holds rows out, the ones that a training with this seed holds out.
        request: What is asked for.
        encoders: What gives each encoder, by name.

    Raises:
        InvalidInput: nothing can be learned from the data.
    """

    def __init__(
        self,
        data: Dataset,
        test: Dataset | None,
        request: SearchRequest,
        encoders: Mapping[str, Callable[[], Encoder]],
    ) -> None:
        check_trainable(data)
        split = hold_out(data, request.seed) if test is None else set_apart(data, test)
        generator = np.random.Generator(np.random.PCG64(request.seed))
        texts, labels = list(split.texts), list(split.labels)
        if len(texts) > request.rows:
            kept = widest_rows(texts, labels, np.arange(len(texts)), request.rows, generator)
            texts, labels = [texts[row] for row in kept], [labels[row] for row in kept]
        self.rows = len(texts)
        self.test_name = split.test_name
        self._request = request
        self._encoders = encoders
        self._texts, self._labels = texts, np.array(labels)
        self._folds = assign_folds(texts, labels, request.folds, generator)
        judged = np.arange(len(split.test_texts))
        if len(judged) > _TEST_ROWS:
            judged = np.sort(generator.choice(judged, _TEST_ROWS, replace=False))
        self._test_texts = [split.test_texts[row] for row in judged.tolist()]
        self._test_labels = np.array(split.test_labels)[judged]
        self._names = sorted({*labels, *self._test_labels.tolist()})
        self._analysis = Analysis(texts)

    def fold(self, recipe: Recipe, fold: int) -> dict[str, float]:
        """Every metric of the rows of one fold, by a fit to all others."""
        unseen = self._folds == fold
        margins, columns = out_of_fold(
            self._analysis, recipe, self._encoders[recipe.encoder](), self._labels, unseen, self._request.seed
        )
        return self._metrics(in_order(margins, columns, self._names), self._labels[unseen])

    def compare(self, recipe: Recipe, other: Recipe) -> Difference:
        """Both recipes, fitted to all rows of the search, on the rows that no trial saw.

        The interval is of the paired bootstrap (Efron & Tibshirani 1993): rows are drawn anew, 2,000 times.
        """
        analysis = Analysis([*self._texts, *self._test_texts])
        unseen = np.arange(self.rows + len(self._test_texts)) >= self.rows
        labels = np.concatenate([self._labels, self._test_labels])
        truth = np.searchsorted(self._names, self._test_labels)
        answers = []
        for each in (recipe, other):
            margins, columns = out_of_fold(
                analysis, each, self._encoders[each.encoder](), labels, unseen, self._request.seed
            )
            answers.append(_Answers(in_order(margins, columns, self._names), truth))
        metric, sign = self._request.metric, 1 if self._request.higher_is_better else -1
        generator = np.random.Generator(np.random.PCG64(self._request.seed))
        drawn = np.empty(_DRAWS)
        for draw in range(_DRAWS):
            rows = generator.integers(0, len(truth), len(truth))
            drawn[draw] = sign * (answers[0].metrics(rows)[metric] - answers[1].metrics(rows)[metric])
        value, against = (each.metrics()[metric] for each in answers)
        low, high = np.percentile(drawn, _RANGE)
        return Difference(value, against, sign * (value - against), float(low), float(high), len(truth))

    def _metrics(self, margins: NDArray[np.float64], labels: NDArray[np.str_]) -> dict[str, float]:
        return _Answers(margins, np.searchsorted(self._names, labels)).metrics()


class _Answers:
    """Margins of some rows, and what is true of them."""

    def __init__(self, margins: NDArray[np.float64], truth: NDArray[np.int_]) -> None:
        self._classes = margins.shape[1]
        self._truth = truth
        self._predicted = margins.argmax(axis=1)
        rows = np.arange(len(truth))
        self._loss = -log_softmax(margins / fit_temperature(margins, truth), axis=1)[rows, truth]

    def metrics(self, rows: NDArray[np.int_] | slice = slice(None)) -> dict[str, float]:
        """Of all rows, or of some."""
        truth, predicted = self._truth[rows], self._predicted[rows]
        return {
            "macro_f1": macro_f1(confusion_matrix(truth, predicted, self._classes)),
            "accuracy": float(np.mean(truth == predicted)),
            "log_loss": float(np.mean(self._loss[rows])),
        }
