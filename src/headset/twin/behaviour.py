"""What a model says, known only from its confusion matrix and its confidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np
from msgspec import Meta, Struct

from headset.core.errors import InvalidInput
from headset.twin.wheel import Wheel

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from numpy.typing import NDArray

    from headset.twin.catalogue import Catalogue
    from headset.twin.scenario import BotArm

_NEIGHBOURS_RATIO = 0.75
_MIDDLE = 0.62
_REACH = 0.3
_CONCENTRATION = 8.0
_SAMPLES = 512

Confidence = Annotated[float, Meta(ge=0, le=1)]


class Prediction(Struct, frozen=True):
    """What a model said of one text, with how sure it was; ``second`` is what it thought of next."""

    intent: str
    confidence: float
    second: str


class Confusion(Struct, frozen=True, kw_only=True):
    """A model as its test saw it; ``headset train intent`` keeps it as ``confusion.json``.

    Attributes:
        intents: The model's intents, K of them.
        counts: Shape (K, K): test rows by true intent (row) and by what the model said (column).
        right: Its confidence on each row it got right.
        wrong: And on each it got wrong.
        threshold: The confidence from which it answers alone.
    """

    intents: tuple[str, ...]
    counts: tuple[tuple[Annotated[int, Meta(ge=0)], ...], ...]
    right: tuple[Confidence, ...]
    wrong: tuple[Confidence, ...]
    threshold: Confidence


class Behaviour:
    """Draws what a model would say to a text of a given intent.

    Args:
        said: For each true intent, the weights of what the model says.
        right: Confidences to draw from where it is right, sorted or not.
        wrong: And where it is wrong, or has never learned the intent.
    """

    def __init__(self, said: dict[str, dict[str, float]], right: NDArray[np.float64], wrong: NDArray[np.float64]) -> None:
        self._intents = tuple(said)
        self._said = {intent: Wheel(weights) for intent, weights in said.items()}
        self._errors = {
            intent: Wheel(others)
            for intent, weights in said.items()
            if any((others := {name: weight for name, weight in weights.items() if name != intent}).values())
        }
        self._right = right.tolist()
        self._wrong = wrong.tolist()

    def predict(self, intent: str, random: Random, *, accuracy_loss: float = 0.0) -> Prediction:
        """What it says of a text with this ``intent``; in ``accuracy_loss`` of the cases it was right, it is not."""
        wheel = self._said.get(intent)
        said = random.choice(self._intents) if wheel is None else wheel.draw(random)
        if said == intent and accuracy_loss > 0 and intent in self._errors and random.random() < accuracy_loss:
            said = self._errors[intent].draw(random)
        confidence = random.choice(self._right if said == intent else self._wrong)
        second = intent if said != intent and wheel is not None else self._intents[random.randrange(len(self._intents))]
        return Prediction(said, confidence, second)


def behave_as(arm: BotArm, catalogue: Catalogue, seed: int) -> Behaviour:
    """A model made up from an arm's accuracy and sureness: it mostly confuses intents of one group."""
    chance = np.random.Generator(np.random.PCG64(seed))
    middle, reach = _MIDDLE, _REACH * arm.sureness
    samples = [
        np.sort(chance.beta(mean * _CONCENTRATION, (1 - mean) * _CONCENTRATION, _SAMPLES)).round(4)
        for mean in (middle + reach, middle - reach)
    ]
    said = {}
    for intent in catalogue.usual:
        others = [name for name in catalogue.usual if name != intent]
        near = [name for name in others if catalogue.groups[name] == catalogue.groups[intent]]
        weights = {intent: arm.accuracy if others else 1.0}
        for name in others:
            weights[name] = (1 - arm.accuracy) * (1 - (_NEIGHBOURS_RATIO if near else 0.0)) / len(others)
        for name in near:
            weights[name] += (1 - arm.accuracy) * _NEIGHBOURS_RATIO / len(near)
        said[intent] = weights
    return Behaviour(said, samples[0], samples[1])


def behave_like(confusion: Confusion) -> Behaviour:
    """The model of a confusion matrix, its test taken at its word."""
    counts = _matrix(confusion)
    return _behaviour(confusion, counts + _prior(counts), np.array(confusion.right), np.array(confusion.wrong))


def imagine(confusion: Confusion, chance: np.random.Generator) -> Behaviour:
    """A model that may stand behind the test's counts: rows from their Dirichlet posterior, confidences resampled.

    The prior has the weight of one test row: right as often as all rows together, wrong as they are.
    """
    counts = _matrix(confusion)
    weights = np.array([chance.dirichlet(row) for row in np.maximum(counts + _prior(counts), 1e-9)])
    right, wrong = (
        chance.choice(np.array(values), max(len(values), 1)) if values else np.zeros(1)
        for values in (confusion.right, confusion.wrong)
    )
    return _behaviour(confusion, weights, right, wrong)


def read_confusion(path: Path) -> Confusion:
    """Read a ``confusion.json``.

    Raises:
        InvalidInput: it cannot be read, or is no confusion matrix.
    """
    try:
        confusion = msgspec.json.decode(path.read_bytes(), type=Confusion)
    except OSError as error:
        raise InvalidInput("confusion", f"{path} cannot be read ({error.strerror}); name a confusion.json") from None
    except msgspec.DecodeError as error:
        raise InvalidInput("confusion", f"{path} is no confusion matrix ({error}); 'headset train' writes one") from None
    size = len(confusion.intents)
    if size == 0 or len(set(confusion.intents)) < size:
        raise InvalidInput("confusion", f"{path} has {size} intents, some twice; each needs one row")
    if len(confusion.counts) != size or any(len(row) != size for row in confusion.counts):
        raise InvalidInput("confusion", f"{path} has counts that are not {size} rows of {size}")
    if not any(map(any, confusion.counts)) or not confusion.right + confusion.wrong:
        raise InvalidInput("confusion", f"{path} holds no test row; measure the model on some")
    return confusion


def _matrix(confusion: Confusion) -> NDArray[np.float64]:
    return np.array(confusion.counts, dtype=np.float64)


def _prior(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shape (K, K), each row sums to 1: what one would expect of an intent that was never tested."""
    size = len(counts)
    total = counts.sum()
    accuracy = (np.trace(counts) + 0.5) / (total + 1)
    wrong = counts.sum(axis=0) - np.diag(counts) + 1 / size
    prior = np.tile(wrong, (size, 1))
    np.fill_diagonal(prior, 0.0)
    rows = prior.sum(axis=1, keepdims=True)
    prior = np.divide((1 - accuracy) * prior, rows, out=np.zeros_like(prior), where=rows > 0)
    np.fill_diagonal(prior, accuracy if size > 1 else 1.0)
    return prior


def _behaviour(
    confusion: Confusion, weights: NDArray[np.float64], right: NDArray[np.float64], wrong: NDArray[np.float64]
) -> Behaviour:
    said = {
        intent: dict(zip(confusion.intents, row.tolist(), strict=True))
        for intent, row in zip(confusion.intents, weights, strict=True)
    }
    either = np.concatenate([right, wrong])
    return Behaviour(said, right if len(right) else either, wrong if len(wrong) else either)
