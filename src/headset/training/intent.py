"""Fitting the intent model: margins of rows it has not seen give it confidence.

Up to the recipe's limit of rows, each is left out of one of three fits, and then the model is fitted to all. Beyond
it, the model is fitted to as many rows as the limit says, and calibrated on others: one fit instead of four.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from scipy.special import softmax

from headset.core.errors import InvalidInput
from headset.stats.classification import accuracy, confusion_matrix, expected_calibration_error, macro_f1
from headset.training.analysis import Analysis, out_of_fold
from headset.training.calibration import assign_folds, choose_threshold, fit_temperature
from headset.training.pipeline import in_order
from headset.training.recipe import SHIPPED
from headset.training.sample import spread_rows
from headset.training.split import are_learnable, learnable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sklearn.pipeline import Pipeline

    from headset.data.synthetic.row import SyntheticRow
    from headset.features.encoder import Encoder
    from headset.training.recipe import Recipe
    from headset.training.recording import Progress

FOLDS = 3
_FEWEST_TEXTS = 50
_ASKED_AT_ONCE = 2_048


class Metrics(Struct, frozen=True):
    """How good predictions are.

    Attributes:
        accuracy: Share of rows labelled right, with ``accuracy_low`` and ``accuracy_high``, its 95 % Wilson interval.
        accuracy_low: See above.
        accuracy_high: See above.
        macro_f1: Mean of the labels' F1.
        calibration_error: Expected calibration error, 15 bins.
        automatic_ratio: Share of rows at or above the threshold.
        automatic_precision: Share of those that were right; 0 where there are none.
    """

    accuracy: float
    accuracy_low: float
    accuracy_high: float
    macro_f1: float
    calibration_error: float
    automatic_ratio: float
    automatic_precision: float


@dataclass(frozen=True, eq=False)
class FittedIntent:
    """A fitted intent model.

    Attributes:
        pipeline: The scikit-learn pipeline, fitted to all rows, its temperature set.
        temperature: What margins are divided by.
        threshold: Lowest confidence at which answers reach the target precision.
        metrics: Of predictions for rows the model had not seen (out of fold).
    """

    pipeline: Pipeline
    temperature: float
    threshold: float
    metrics: Metrics


def measure(probabilities: NDArray[np.float64], truth: NDArray[np.int_], threshold: float) -> Metrics:
    """Metrics of (n, k) probabilities against (n,) true columns, with the given threshold.

    >>> measure(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 0]), 0.8).automatic_precision
    1.0
    """
    return measure_answers(
        probabilities.argmax(axis=1), probabilities.max(axis=1), truth, threshold, labels=probabilities.shape[1]
    )


def measure_answers(
    predicted: NDArray[np.int_],
    confidence: NDArray[np.float64],
    truth: NDArray[np.int_],
    threshold: float,
    *,
    labels: int,
) -> Metrics:
    """The same of the (n,) answered columns and the confidence in each, where there are ``labels`` columns."""
    right = predicted == truth
    share = accuracy(right)
    automatic = confidence >= threshold
    return Metrics(
        accuracy=share.value,
        accuracy_low=share.low,
        accuracy_high=share.high,
        macro_f1=macro_f1(confusion_matrix(truth, predicted, labels)),
        calibration_error=expected_calibration_error(confidence, right),
        automatic_ratio=float(automatic.mean()),
        automatic_precision=float(right[automatic].mean()) if automatic.any() else 0.0,
    )


def fit_intent(
    texts: Sequence[str],
    labels: Sequence[str],
    encoder: Encoder,
    *,
    seed: int,
    target_precision: float,
    progress: Progress,
    recipe: Recipe = SHIPPED,
    synthetic: Sequence[SyntheticRow] = (),
) -> FittedIntent:
    """Fit the intent model; equal arguments give an equal model.

    Synthetic rows are learned from, each only by fits that learn from all its sources; confidence comes from real ones.

    Args:
        texts: (n,) what customers wrote.
        labels: (n,) the intent of each.
        encoder: Gives the embedding block.
        seed: Of folds and solver.
        target_precision: Precision the threshold is chosen for, in (0, 1).
        progress: Called with the name of the step and the share of it that is done.
        recipe: How the model is made.
        synthetic: Made-up rows to learn from as well, of the intents in ``labels``.

    Raises:
        InvalidInput: too few texts or labels, or a precision out of range.
    """
    names = _check(labels, target_precision)
    truth = np.searchsorted(names, labels)
    generator = np.random.Generator(np.random.PCG64(seed))
    if len(texts) <= recipe.row_limit:
        added = learnable(synthetic, texts)
        analysis = Analysis([*texts, *(row.text for row in added)])
        margins = _out_of_fold(analysis, recipe, encoder, texts, labels, added, seed, progress)
        progress("fit the model", 0.0)
        pipeline = analysis.fit(recipe, encoder, [*labels, *(row.label for row in added)], seed=seed)
        progress("fit the model", 1.0)
    else:
        learned, asked = spread_rows(texts, labels, recipe.row_limit, generator)
        progress("fit the model", 0.0)
        real = [texts[row] for row in learned]
        added = learnable(synthetic, real)
        pipeline = Analysis([*real, *(row.text for row in added)]).fit(
            recipe, encoder, [*(labels[row] for row in learned), *(row.label for row in added)], seed=seed
        )
        progress("fit the model", 1.0)
        margins = _ask(pipeline, [texts[row] for row in asked], names, progress)
        truth = truth[asked]
    temperature = fit_temperature(margins, truth)
    probabilities = softmax(margins / temperature, axis=1)
    right = probabilities.argmax(axis=1) == truth
    threshold = choose_threshold(probabilities.max(axis=1), right, target_precision)
    pipeline.set_params(head__temperature=temperature)
    return FittedIntent(pipeline, temperature, threshold, measure(probabilities, truth, threshold))


def _check(labels: Sequence[str], target_precision: float) -> list[str]:
    if not 0 < target_precision < 1:
        raise InvalidInput("precision", f"{target_precision} is not between 0 and 1; 0.95 is usual")
    counts = Counter(labels)
    if len(labels) < _FEWEST_TEXTS:
        raise InvalidInput("data", f"{len(labels)} labelled texts; at least {_FEWEST_TEXTS} are needed; label more")
    frequent = [label for label, count in counts.items() if count >= 2]
    if len(frequent) < 2:
        raise InvalidInput("data", f"{len(frequent)} intents with two texts or more; at least 2 are needed; label more")
    return sorted(counts)


def _out_of_fold(
    analysis: Analysis,
    recipe: Recipe,
    encoder: Encoder,
    texts: Sequence[str],
    labels: Sequence[str],
    added: Sequence[SyntheticRow],
    seed: int,
    progress: Progress,
) -> NDArray[np.float64]:
    """(n, k) margins of each real row by a model that was fitted without it, and without rows made from it."""
    folds = assign_folds(texts, labels, FOLDS, np.random.Generator(np.random.PCG64(seed)))
    names = sorted(set(labels))
    margins, known = np.empty((len(texts), len(names))), np.array([*labels, *(row.label for row in added)])
    for fold in range(FOLDS):  # one after the other: the solver's random numbers are the process's, not a thread's
        progress("calibrate", fold / FOLDS)
        made = are_learnable(added, [text for text, other in zip(texts, folds, strict=True) if other != fold])
        unseen = np.concatenate([folds == fold, np.zeros(len(added), bool)])
        seen = np.concatenate([folds != fold, np.array(made, bool)])
        found, columns = out_of_fold(analysis, recipe, encoder, known, unseen, seed, seen)
        margins[folds == fold] = in_order(found, columns, names)
    progress("calibrate", 1.0)
    return margins


def _ask(pipeline: Pipeline, texts: Sequence[str], names: Sequence[str], progress: Progress) -> NDArray[np.float64]:
    """(n, k) margins of texts the pipeline has not seen, some at a time."""
    margins = np.empty((len(texts), len(names)))
    for start in range(0, len(texts), _ASKED_AT_ONCE):
        progress("calibrate", start / len(texts))
        some = slice(start, start + _ASKED_AT_ONCE)
        margins[some] = in_order(pipeline.decision_function(texts[some]), pipeline.classes_, names)
    progress("calibrate", 1.0)
    return margins
