"""What is kept of a model's answers while it is measured."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

from headset.data.dataset import Dataset
from headset.registry.scorer import Scores
from headset.training.model_import import measured


class Watched:
    """Always answers ``a``, and counts the answers that are still kept when it is asked again."""

    labels, threshold = ("a", "b"), 0.5

    def __init__(self):
        self.given, self.kept = [], 0

    def score(self, texts, embeddings):
        self.kept = max(self.kept, sum(each() is not None for each in self.given))
        probabilities = np.tile([0.75, 0.25], (len(texts), 1))
        self.given.append(weakref.ref(probabilities))
        return Scores(probabilities, np.zeros(len(texts)))


def test_no_more_than_one_batch_of_probabilities_is_kept_at_a_time(encoder):
    rows = 1_500
    texts, labels = ("hello",) * rows, ("a", "b", "c") * (rows // 3)
    model = Watched()
    found = measured(model, Dataset("d", texts, labels, ("1#1",) * rows, "f"), encoder, lambda *_: None)
    assert len(model.given) >= 5
    assert model.kept <= 1
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert found["macro_f1"] == pytest.approx(0.5 / 3)
    assert found["automatic_ratio"] == 1.0
