"""What a model says, known only from what its test saw."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from headset.twin.wheel import Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from numpy.typing import NDArray

    from headset.registry.confusion import Confusion
    from headset.twin.catalogue import Catalogue
    from headset.twin.scenario import BotArm

    Floats = NDArray[np.float64]

_NEIGHBOURS_RATIO = 0.75
_MIDDLE = 0.62
_REACH = 0.3
_CONCENTRATION = 8.0
_SAMPLES = 512


class Prediction(Struct, frozen=True):
    """What a model said of one text, with how sure it was.

    ``second`` is what it thought of next, another intent unless the model knows only one.
    """

    intent: str
    confidence: float
    second: str


class Sureness(Struct, frozen=True):
    """Confidences to draw from, for texts of one intent, where the model is right and where it is wrong."""

    right: list[float]
    wrong: list[float]


class Behaviour:
    """Draws what a model would say to a text of a given intent.

    Args:
        said: For each intent it knows, the weights of what it says of its texts.
        sureness: For each of them.
        unlearned: Confidences to draw from where it has never learned the intent; it is always wrong there.
    """

    def __init__(
        self, said: Mapping[str, Mapping[str, float]], sureness: Mapping[str, Sureness], unlearned: list[float]
    ) -> None:
        self._intents = tuple(said)
        self._said = {intent: Wheel(weights) for intent, weights in said.items()}
        self._errors = {
            intent: Wheel(others)
            for intent, weights in said.items()
            if any((others := {name: weight for name, weight in weights.items() if name != intent}).values())
        }
        self._sureness = sureness
        self._unlearned = unlearned

    def predict(self, intent: str, random: Random, *, accuracy_loss: float = 0.0) -> Prediction:
        """What it says of a text with this ``intent``; in ``accuracy_loss`` of the cases it was right, it is not."""
        wheel = self._said.get(intent)
        if wheel is None:
            said = random.choice(self._intents)
            return Prediction(said, random.choice(self._unlearned), self._draw_other(said, random))
        said = wheel.draw(random)
        if said == intent and accuracy_loss > 0 and intent in self._errors and random.random() < accuracy_loss:
            said = self._errors[intent].draw(random)
        sureness = self._sureness[intent]
        if said != intent:
            return Prediction(said, random.choice(sureness.wrong), intent)
        return Prediction(said, random.choice(sureness.right), self._draw_other(said, random))

    def _draw_other(self, said: str, random: Random) -> str:
        """Any intent but the one said, with equal chances; the same where there is no other."""
        *others, last = self._intents
        other = random.choice(others) if others else last
        return last if other == said else other


def behave_as(arm: BotArm, catalogue: Catalogue) -> Behaviour:
    """A model made up from an arm's accuracy and sureness: it mostly confuses intents of one group.

    Its confidences are beta distributed, with a higher mean where it is right.
    """
    right, wrong = (
        _quantiles(mean * _CONCENTRATION, (1 - mean) * _CONCENTRATION)
        for mean in (_MIDDLE + _REACH * arm.sureness, _MIDDLE - _REACH * arm.sureness)
    )
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
    return Behaviour(said, dict.fromkeys(said, Sureness(right, wrong)), wrong)


def _quantiles(alpha: float, beta: float) -> list[float]:
    """Evenly spaced quantiles of a beta distribution."""
    from scipy.special import betaincinv  # noqa: PLC0415 - takes longer to load than the rest of the twin

    quantiles: list[float] = betaincinv(alpha, beta, (np.arange(_SAMPLES) + 0.5) / _SAMPLES).round(4).tolist()
    return quantiles


def behave_like(confusion: Confusion) -> Behaviour:
    """The model that does as its test saw it do."""
    return _fit(confusion, lambda weights: weights)


def imagine(confusion: Confusion, chance: np.random.Generator) -> Behaviour:
    """One of the models that may stand behind the test, drawn from their posterior.

    What is said of an intent has a Dirichlet posterior, and so have the confidences, right and wrong: a Dirichlet
    process (Ferguson 1973), whose draws keep to the values seen. The prior of each weighs as much as one test row,
    and says that an intent is like all others: right as often, wrong by the same answers, as sure.
    """
    return _fit(confusion, chance.standard_gamma)  # gammas in proportion are a Dirichlet draw


def _fit(confusion: Confusion, draw: Callable[[Floats], Floats]) -> Behaviour:
    """A model from what the test saw and the prior, all weights handed through ``draw``."""
    names = confusion.intents
    counts = np.array(confusion.counts, dtype=np.float64)
    said = {
        name: dict(zip(names, draw(row).tolist(), strict=True))
        for name, row in zip(names, counts + _prior(counts), strict=True)
    }
    right, wrong = _pool(confusion.right), _pool(confusion.wrong)
    every = np.concatenate([right[0], wrong[0]])
    nobodys = every, np.full(len(every), -1)
    pools = [pool if len(pool[0]) else nobodys for pool in (right, wrong)]
    sureness = {
        name: Sureness(*(_confidences(values, intents == place, draw) for values, intents in pools))
        for place, name in enumerate(names)
    }
    return Behaviour(said, sureness, _confidences(every, np.arange(len(every)) >= len(right[0]), draw))


def _pool(confidences: Sequence[Sequence[float]]) -> tuple[Floats, NDArray[np.int_]]:
    """All confidences, and the place of the intent each belongs to."""
    intents = np.repeat(np.arange(len(confidences)), [len(some) for some in confidences])
    return np.fromiter(chain.from_iterable(confidences), np.float64), intents


def _confidences(values: Floats, own: NDArray[np.bool_], draw: Callable[[Floats], Floats]) -> list[float]:
    """A sample of fixed size: ``values`` in proportion to weights, of 1 for its ``own`` and 1 for all together."""
    bounds = np.cumsum(draw(own.astype(np.float64) + 1 / len(values)))
    places = np.searchsorted(bounds, (np.arange(_SAMPLES) + 0.5) / _SAMPLES * bounds[-1])
    return [float(value) for value in values[places]]


def _prior(counts: Floats) -> Floats:
    """Shape (K, K), each row sums to 1: what one would expect of an intent that was never tested."""
    size = len(counts)
    if size == 1:
        return np.ones((1, 1))
    accuracy = (np.trace(counts) + 0.5) / (counts.sum() + 1)
    prior = np.tile(counts.sum(axis=0) - np.diag(counts) + 1 / size, (size, 1))
    np.fill_diagonal(prior, 0.0)
    prior *= (1 - accuracy) / prior.sum(axis=1, keepdims=True)
    np.fill_diagonal(prior, accuracy)
    return prior
