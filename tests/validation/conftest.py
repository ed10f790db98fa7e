"""A model that does as it is told, and contexts of its rows."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from headset.core.clock import ManualClock
from headset.registry.scorer import Scores
from headset.twin.scenario import read_scenario
from headset.validation.context import Contender, Context, Rows
from headset.validation.limits import Limits

INTENTS = ("card", "loan", "transfer", "refund")


class Told:
    """Says of a text what ``says(text)`` gives: an intent, a confidence and how well it fits."""

    def __init__(self, says, labels=INTENTS, threshold=0.7):
        self.labels, self.threshold, self._says = labels, threshold, says

    def score(self, texts, embeddings):
        probabilities, fits = np.zeros((len(texts), len(self.labels))), np.zeros(len(texts))
        for row, text in enumerate(texts):
            intent, sure, fit = self._says(text)
            probabilities[row] = (1 - sure) / (len(self.labels) - 1)
            probabilities[row, self.labels.index(intent)] = sure
            fits[row] = fit
        return Scores(probabilities, fits)


class NoEncoder:
    version, dim = "none", 1

    def encode(self, texts):
        return np.zeros((len(texts), 1), np.float32)


def reads_words(text):
    """Finds the word of an intent, whatever the case; unsure where there is none."""
    found = [intent for intent in INTENTS if intent in text.lower()]
    return (found[0], 0.95 if len(found) == 1 else 0.5, 1.0) if found else ("card", 0.4, -1.0)


@pytest.fixture
def contender():
    def make(says=reads_words, version="2", labels=INTENTS, threshold=0.7, **rest):
        return Contender(version=version, model=Told(says, labels, threshold), encoder=NoEncoder(), **rest)

    return make


@pytest.fixture
def rows():
    """``rows(400)``: so many different texts, the intents in turn, in two languages."""

    def make(count=400, **changes):
        labels = tuple(itertools.islice(itertools.cycle(INTENTS), count))
        texts = tuple(f"please help with my {label} number {n}" for n, label in enumerate(labels))
        groups = {"language": ["en" if n % 8 < 4 else "es" for n in range(count)]}
        conversations = tuple(f"c{n}" for n in range(count))
        return replace(Rows("'late'", texts, labels, conversations, groups), **changes)

    return make


@pytest.fixture
def context(contender, rows):
    def make(**changes):
        whole = {
            "candidate": contender(),
            "champion": None,
            "rows": rows(),
            "foreign": {"nothing": tuple(f"lorem ipsum {n}" for n in range(60))},
            "suite": (),
            "scenario": read_scenario("quiet_week"),
            "clock": ManualClock(),
            "cpu": lambda: 0.0,
            "limits": Limits(suite_cases=60, business_days=0.02),
        }
        return Context(**(whole | changes))

    return make


@pytest.fixture
def wrong_in():
    """``wrong_in(0.1)``: reads words, but is wrong in that share of the numbered texts, and as sure."""

    def make(share, sure=0.95):
        def says(text):
            intent, confidence, fit = reads_words(text)
            number = int("".join(sign for sign in text if sign.isdigit()) or 0)
            if (number * 37 % 100) < 100 * share:
                return INTENTS[(INTENTS.index(intent) + 1) % len(INTENTS)], sure, fit
            return intent, confidence, fit

        return says

    return make
