"""What a finer encoder is worth: the shipped recipe with each, on the same rows, quality beside cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from headset.core.errors import InvalidInput
from headset.features.encoder import Remembering
from headset.stats.classification import auroc
from headset.training.analysis import Analysis
from headset.training.baseline import Comparison, compare
from headset.training.compiler import compile_scorer
from headset.training.intent import Metrics, fit_intent, measure
from headset.training.pipeline import TemperatureScaled
from headset.training.recipe import SHIPPED
from headset.training.recording import check_seed
from headset.training.sample import widest_rows
from headset.training.split import check_trainable, set_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from headset.core.clock import Clock
    from headset.data.dataset import Dataset
    from headset.features.encoder import Encoder
    from headset.registry.scorer import Scorer
    from headset.training.recipe import Recipe
    from headset.training.recording import Progress
    from headset.training.split import Split

LEFT_OUT = 4
"""One intent in four is left out of training to see whether its texts are told from known ones."""

_FEWEST_LABELS = 3
_TIMED, _WARM_UP, _ROUNDS = 200, 20, 3


class EncoderResult(Struct, frozen=True):
    """One encoder under the shipped recipe.

    Attributes:
        encoder: As a recipe names it.
        version: Of its numbers.
        metrics: Of the test rows, by the compiled scorer.
        scope_auroc: How often ``in_scope`` ranks a text of a known intent above one of an intent left out.
        ms_per_turn: Milliseconds of CPU of encoder and scorer, one text at a time; the median of rounds.
        training_s: Seconds to encode the texts, fit and calibrate.
    """

    encoder: str
    version: str
    metrics: Metrics
    scope_auroc: float
    ms_per_turn: float
    training_s: float


class EncoderComparison(Struct, frozen=True):
    """Encoders beside each other, the default first.

    Attributes:
        dataset: What was learned from.
        test: What was measured on.
        rows: Texts learned from.
        test_rows: Texts measured on.
        labels: How many intents there are.
        left_out: Intents left out of training for ``scope_auroc``.
        target_precision: What the threshold is chosen for.
        seed: Of folds, solver and the intents left out.
        results: One for each encoder that is there.
        paired: Each further encoder against the default on the same texts: accuracies and the exact McNemar test.
        absent: Encoders that are not there, and why.
    """

    dataset: str
    test: str
    rows: int
    test_rows: int
    labels: int
    left_out: list[str]
    target_precision: float
    seed: int
    results: list[EncoderResult]
    paired: dict[str, Comparison]
    absent: dict[str, str]


def compare_encoders(  # noqa: PLR0913 - clocks, randomness and settings come in as arguments
    data: Dataset,
    test: Dataset,
    encoders: Mapping[str, Encoder],
    *,
    absent: Mapping[str, str],
    seed: int,
    target_precision: float,
    clock: Clock,
    cpu: Callable[[], float],
    progress: Progress,
) -> EncoderComparison:
    """Train the shipped recipe with each encoder on the same rows, and measure quality and cost; registers nothing.

    Args:
        data: To learn from.
        test: To measure on.
        encoders: By the name a recipe calls them, the default first.
        absent: Encoders that are not there, and why.
        seed: Of folds, solver and the intents left out.
        target_precision: What the threshold is chosen for, in (0, 1).
        clock: For the training time.
        cpu: Seconds of CPU used so far.
        progress: Called with a phase and the fraction of it that is done, 0 to 1.

    Raises:
        InvalidInput: the data allow no training, or have fewer than three intents.
    """
    check_seed(seed)
    check_trainable(data)
    split = set_apart(data, test)
    names = sorted(set(data.labels))
    if len(names) < _FEWEST_LABELS:
        raise InvalidInput("data", f"{data.name!r} has {len(names)} intents; comparing encoders needs at least 3")
    generator = np.random.Generator(np.random.PCG64(seed))
    left_out = sorted(generator.choice(names, max(1, len(names) // LEFT_OUT), replace=False).tolist())
    results, right = [], {}
    for name, encoder in encoders.items():
        recipe, known = SHIPPED, Remembering(encoder)

        def tell(phase: str, part: float, name: str = name) -> None:
            progress(f"{name}: {phase}", part)

        began = clock.monotonic()
        fitted = fit_intent(
            split.texts, split.labels, known,
            seed=seed, target_precision=target_precision, progress=tell, recipe=recipe,
        )  # fmt: skip
        training_s = clock.monotonic() - began
        scorer = compile_scorer(fitted)
        tell("measure", 0.0)
        metrics, right[name] = _measure(scorer, known, split)
        tell("measure", 0.5)
        scope = scope_auroc(split, known, recipe, left_out, seed=seed)
        tell("measure", 1.0)
        cost = _cost_ms(scorer, encoder, split.test_texts, cpu)
        results.append(EncoderResult(name, encoder.version, metrics, scope, cost, training_s))
    first, *others = right
    return EncoderComparison(
        dataset=data.name,
        test=test.name,
        rows=len(split.texts),
        test_rows=len(split.test_texts),
        labels=len(names),
        left_out=left_out,
        target_precision=target_precision,
        seed=seed,
        results=results,
        paired={name: compare(right[name], right[first]) for name in others},
        absent=dict(absent),
    )


def scope_auroc(split: Split, encoder: Encoder, recipe: Recipe, left_out: Sequence[str], *, seed: int) -> float:
    """How well ``in_scope`` tells texts of known intents from texts of intents that were left out of training.

    Raises:
        InvalidInput: the test texts hold no known or no unknown intent.
    """
    known = [row for row, label in enumerate(split.labels) if label not in left_out]
    if len(known) > recipe.row_limit:
        generator = np.random.Generator(np.random.PCG64(seed))
        known = widest_rows(split.texts, split.labels, np.array(known), recipe.row_limit, generator).tolist()
    analysis = Analysis([*(split.texts[row] for row in known), *split.test_texts])
    seen, asked = list(range(len(known))), list(range(len(known), len(known) + len(split.test_texts)))
    learned, unseen = analysis.split(recipe, encoder, seen, asked)
    head = TemperatureScaled(recipe.penalty, seed=seed).fit(learned, [split.labels[row] for row in known])
    score = head.decision_function(unseen).max(axis=1)
    learned_labels = set(split.labels) - set(left_out)
    inside = np.array([label in learned_labels for label in split.test_labels])
    if inside.all() or not inside.any():
        raise InvalidInput(
            "test",
            f"{split.test_name} has {int(inside.sum())} texts of known and {int((~inside).sum())} of left out"
            " intents; name data with both, or another seed",
        )
    return auroc(score[inside], score[~inside])


def _measure(scorer: Scorer, encoder: Encoder, split: Split) -> tuple[Metrics, np.ndarray]:
    """Metrics of the test rows, and whether each was right; an intent that was not learned counts as an error."""
    labels = [*scorer.labels, *sorted(set(split.test_labels) - set(scorer.labels))]
    truth = np.array([labels.index(label) for label in split.test_labels])
    probabilities = np.zeros((len(truth), len(labels)))
    found = scorer.score(split.test_texts, encoder.encode(split.test_texts)).probabilities
    probabilities[:, : len(scorer.labels)] = found
    return measure(probabilities, truth, scorer.threshold), probabilities.argmax(axis=1) == truth


def _cost_ms(scorer: Scorer, encoder: Encoder, texts: Sequence[str], cpu: Callable[[], float]) -> float:
    """Milliseconds of CPU per text, one at a time, after a warm-up: the median of rounds."""
    timed = texts[:: max(1, len(texts) // _TIMED)][:_TIMED]
    for text in timed[:_WARM_UP]:
        scorer.score([text], encoder.encode([text]))
    rounds = []
    for _ in range(_ROUNDS):
        began = cpu()
        for text in timed:
            scorer.score([text], encoder.encode([text]))
        rounds.append((cpu() - began) / len(timed) * 1e3)
    return float(np.median(rounds))
