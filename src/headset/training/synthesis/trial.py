"""Do synthetic rows earn their place? Rare intents, measured with and without them on real texts no fit has seen."""

from __future__ import annotations

from itertools import cycle, islice
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from headset.training.analysis import Analysis, out_of_fold
from headset.training.calibration import assign_folds
from headset.training.pipeline import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from headset.data.synthetic.row import SyntheticRow
    from headset.features.encoder import Encoder
    from headset.training.recipe import Recipe

    Make = Callable[[Sequence[str], Sequence[str], int], Sequence[SyntheticRow]]
    """Synthetic rows from texts to learn from, their labels, and a seed."""

FOLDS = 3
REPEATS = 2
CONFIDENCE = 0.95
LARGEST_LOSS = 0.01
"""What the other intents may lose of their macro-F1."""

_DRAWS = 1_000
_DRAWN_AT_ONCE = 100
_OTHERS = 60
_ARMS = ("real", "synthetic", "copies")


class IntentTrial(Struct, frozen=True):
    """One rare intent: its real texts, and its F1 without synthetic rows, with them, and with copies instead."""

    intent: str
    texts: int
    real: float
    synthetic: float
    copies: float


class Trial(Struct, frozen=True):
    """What a trial found. F1 is the mean over the rare intents (macro-F1), from 0 to 1.

    Attributes:
        kept: Whether the synthetic rows earn their place.
        reason: Why, with the numbers.
        real: F1 of the model that learned from real rows.
        synthetic: F1 with synthetic rows as well.
        copies: F1 with as many plain copies of the real rows instead: how much of the gain is mere weight.
        gain: ``synthetic - real``.
        low: Lower end of the 95 % interval of the gain.
        high: Upper end.
        others_real: Macro-F1 of all other intents, from real rows.
        others_synthetic: The same with synthetic rows.
        intents: The rare intents one by one.
        rows: Real rows that were measured, each once in every repeat.
        folds: Parts that took turns in being measured.
        repeats: How often that was done, split anew each time.
    """

    kept: bool
    reason: str
    real: float
    synthetic: float
    copies: float
    gain: float
    low: float
    high: float
    others_real: float
    others_synthetic: float
    intents: tuple[IntentTrial, ...]
    rows: int
    folds: int
    repeats: int


def try_synthesis(
    texts: Sequence[str],
    labels: Sequence[str],
    rare: Sequence[str],
    make: Make,
    encoder: Encoder,
    recipe: Recipe,
    *,
    seed: int,
    progress: Callable[[float], None] = lambda _: None,
) -> Trial:
    """Measure what synthetic rows do for the rare intents.

    For each of three folds, rows are made from the texts of the two others alone. Three models learn: from the real
    texts of the two, with the synthetic rows added, and with copies of the real texts added instead. All three answer
    the fold that is left. This is done twice, with other folds. Of frequent intents at most 60 texts take part: the
    trial is quicker, and gains less than all of them would, since weight matters less.

    The rows are kept when the interval of the gain lies above 0 and the other intents lose no more than one point.
    The interval is a paired bootstrap over the real rows within each intent (Efron & Tibshirani 1993): it holds what
    the choice of texts adds to chance.

    Args:
        texts: (n,) real texts.
        labels: (n,) their intents.
        rare: Those that rows are made for.
        make: Makes them.
        encoder: Gives the embedding block.
        recipe: How the model is made.
        seed: Of folds, generation, solver and bootstrap.
        progress: Called with the share that is done.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    rows = _cut(labels, rare, random)
    texts, labels = [texts[row] for row in rows], [labels[row] for row in rows]
    names = sorted(set(labels))
    truth = np.searchsorted(names, labels)
    predicted = np.empty((len(_ARMS), REPEATS, len(texts)), np.int64)
    for repeat in range(REPEATS):
        folds = assign_folds(texts, labels, FOLDS, random)
        for fold in range(FOLDS):
            unseen = folds == fold
            seen = np.flatnonzero(~unseen).tolist()
            made = make([texts[row] for row in seen], [labels[row] for row in seen], seed + repeat * FOLDS + fold)
            real = [(texts[row], labels[row]) for row in seen]
            added = {"real": [], "synthetic": [(row.text, row.label) for row in made], "copies": _copies(made, real)}
            for place, arm in enumerate(_ARMS):
                margins = margins_of_unseen(texts, labels, unseen, added[arm], names, encoder, recipe, seed)
                predicted[place, repeat, unseen] = margins.argmax(axis=1)
                progress((place + 1 + len(_ARMS) * (fold + FOLDS * repeat)) / (len(_ARMS) * FOLDS * REPEATS))
    return _judge(names, truth, predicted, rare, random)


def _cut(labels: Sequence[str], rare: Sequence[str], random: np.random.Generator) -> list[int]:
    """All rows of rare intents, and some of each other."""
    by_label: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        by_label.setdefault(label, []).append(row)
    chosen: list[int] = []
    for label, rows in sorted(by_label.items()):
        whole = label in rare or len(rows) <= _OTHERS
        chosen += rows if whole else random.choice(rows, _OTHERS, replace=False).tolist()
    return sorted(chosen)


def _copies(made: Sequence[SyntheticRow], real: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """As many real rows of each intent as rows were made."""
    counts: dict[str, int] = {}
    for row in made:
        counts[row.label] = counts.get(row.label, 0) + 1
    return [
        pair
        for label, count in sorted(counts.items())
        for pair in islice(cycle([each for each in real if each[1] == label]), count)
    ]


def margins_of_unseen(
    texts: Sequence[str],
    labels: Sequence[str],
    unseen: NDArray[np.bool_],
    added: Sequence[tuple[str, str]],
    names: Sequence[str],
    encoder: Encoder,
    recipe: Recipe,
    seed: int,
) -> NDArray[np.float64]:
    """(unseen rows, names) by a model of the other rows and of ``added``."""
    analysis = Analysis([*texts, *(text for text, _ in added)])
    known = np.array([*labels, *(label for _, label in added)])
    asked = np.concatenate([unseen, np.zeros(len(added), bool)])
    margins, columns = out_of_fold(analysis, recipe, encoder, known, asked, seed)
    return in_order(margins, columns, names)


def _judge(
    names: Sequence[str],
    truth: NDArray[np.int_],
    predicted: NDArray[np.int_],
    rare: Sequence[str],
    random: np.random.Generator,
) -> Trial:
    weights = np.ones((1, len(truth)))
    all_f1 = f1_by_class(truth, predicted, np.arange(len(names)), weights)[:, 0].mean(axis=1)  # (arms, names)
    places = np.searchsorted(names, sorted(rare))
    others = np.setdiff1d(np.arange(len(names)), places)
    real, synthetic, copies = all_f1[:, places].mean(axis=1)
    gains = bootstrap_gain(truth, predicted[:2], places, random)
    low, high = np.quantile(gains, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    others_real, others_synthetic = all_f1[:2, others].mean(axis=1) if len(others) else (0.0, 0.0)
    kept, reason = judge(synthetic - real, float(low), float(high), float(others_synthetic - others_real))
    counts = np.bincount(truth, minlength=len(names))
    return Trial(
        kept=kept,
        reason=reason,
        real=float(real),
        synthetic=float(synthetic),
        copies=float(copies),
        gain=float(synthetic - real),
        low=float(low),
        high=float(high),
        others_real=float(others_real),
        others_synthetic=float(others_synthetic),
        intents=tuple(
            IntentTrial(names[place], int(counts[place]), *(float(arm[place]) for arm in all_f1)) for place in places
        ),
        rows=len(truth),
        folds=FOLDS,
        repeats=REPEATS,
    )


def judge(gain: float, low: float, high: float, others: float) -> tuple[bool, str]:
    """The rule: whether rows are kept, and why. All numbers are differences of macro-F1.

    >>> judge(0.05, 0.02, 0.08, -0.002)[0], judge(0.05, -0.01, 0.11, 0.0)[0], judge(0.05, 0.02, 0.08, -0.02)[0]
    (True, False, False)
    """
    said = (
        f"macro-F1 of the rare intents changes by {gain * 100:+.1f} points"
        f" (95 % interval {low * 100:+.1f} to {high * 100:+.1f})"
    )
    if low <= 0:
        return False, f"{said}: the interval does not lie above 0, so the gain may be chance"
    if others < -LARGEST_LOSS:
        return False, (
            f"{said}, but that of the other intents by {others * 100:+.1f} points,"
            f" and they may lose {LARGEST_LOSS * 100:.0f} at most"
        )
    return True, f"{said}, that of the other intents by {others * 100:+.1f}"


def bootstrap_gain(
    truth: NDArray[np.int_], predicted: NDArray[np.int_], classes: NDArray[np.int_], random: np.random.Generator
) -> NDArray[np.float64]:
    """(draws,) gains in macro-F1 over ``classes`` of the second arm over the first.

    Args:
        truth: (n,) true classes.
        predicted: (2, repeats, n) predicted classes.
        classes: Those that count.
        random: Draws rows anew within each true class, for all arms and repeats alike.
    """
    strata = [np.flatnonzero(truth == name) for name in np.unique(truth)]
    gains = []
    for _ in range(_DRAWS // _DRAWN_AT_ONCE):
        weights = np.empty((_DRAWN_AT_ONCE, len(truth)))
        for rows in strata:
            weights[:, rows] = random.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), _DRAWN_AT_ONCE)
        real, synthetic = f1_by_class(truth, predicted, classes, weights).mean(axis=(2, 3))
        gains.append(synthetic - real)
    return np.concatenate(gains)


def f1_by_class(
    truth: NDArray[np.int_], predicted: NDArray[np.int_], classes: NDArray[np.int_], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(arms, draws, repeats, classes) F1; 0 where a class is neither there nor predicted.

    Args:
        truth: (n,) true classes.
        predicted: (arms, repeats, n) predicted classes.
        classes: (c,) those wanted.
        weights: (draws, n) how often each row counts.

    >>> truth, predicted = np.array([0, 0, 1]), np.array([[[0, 1, 1]]])
    >>> f1_by_class(truth, predicted, np.array([0, 1]), np.ones((1, 3))).round(2).tolist()
    [[[[0.67, 0.67]]]]
    """
    there = (truth[:, None] == classes).astype(float)
    total = weights @ there
    arms, repeats, _ = predicted.shape
    scores = np.empty((arms, len(weights), repeats, len(classes)))
    for arm in range(arms):
        for repeat in range(repeats):
            told = (predicted[arm, repeat][:, None] == classes).astype(float)
            both, either = weights @ (told * there), weights @ told + total
            scores[arm, :, repeat] = np.divide(2 * both, either, out=np.zeros_like(both), where=either > 0)
    return scores
