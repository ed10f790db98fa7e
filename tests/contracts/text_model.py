"""What every kind of intent model promises, as tests.

A kind's test module subclasses :class:`TextModelContract` and gives the fixtures ``model`` and ``dim``.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headset.core.errors import ModelFailed

TEXTS = ["where is my card", "", "WHERE is my card", "ünï \N{PILE OF POO} \x00", "refund " * 300, "my parcel"]
SHARED = settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
)


class TextModelContract:
    """Subclass it; give ``model``, and ``dim``, the length of embeddings."""

    @pytest.fixture
    def embed(self, dim):
        """Equal texts get equal embeddings."""

        def encode(texts):
            rows = [np.random.default_rng([ord(sign) for sign in text] or [0]).normal(size=dim) for text in texts]
            return np.array(rows, np.float32).reshape(len(rows), dim)

        return encode

    def test_rows_are_distributions_over_its_labels(self, model, embed):
        scores = model.score(TEXTS, embed(TEXTS))
        assert scores.probabilities.shape == (len(TEXTS), len(model.labels))
        assert scores.in_scope.shape == (len(TEXTS),)
        assert np.isfinite(scores.in_scope).all()
        assert (scores.probabilities >= 0).all()
        assert scores.probabilities.sum(axis=1) == pytest.approx(1)

    def test_labels_are_distinct_and_the_threshold_is_a_confidence(self, model):
        assert len(set(model.labels)) == len(model.labels) >= 2
        assert 0 <= model.threshold < 2

    def test_equal_texts_get_equal_scores_alone_or_in_any_batch(self, model, embed):
        together = model.score(TEXTS * 7, embed(TEXTS * 7))
        for row, text in enumerate(TEXTS):
            alone = model.score([text], embed([text]))
            for place in range(row, 7 * len(TEXTS), len(TEXTS)):
                assert together.probabilities[place] == pytest.approx(alone.probabilities[0], abs=1e-6)
                assert together.in_scope[place] == pytest.approx(alone.in_scope[0], abs=1e-4)

    def test_no_text_gives_no_rows(self, model, embed):
        scores = model.score([], embed([]))
        assert (scores.probabilities.shape, scores.in_scope.shape) == ((0, len(model.labels)), (0,))

    @given(text=st.text(max_size=200))
    @SHARED
    def test_any_text_is_scored(self, model, embed, text):
        scores = model.score([text], embed([text]))
        assert scores.probabilities.sum() == pytest.approx(1)
        assert np.isfinite(scores.in_scope).all()

    def test_threads_share_it(self, model, embed):
        expected = model.score(TEXTS, embed(TEXTS)).probabilities
        start = threading.Barrier(4)

        def ask(_):
            start.wait()
            return [model.score(TEXTS, embed(TEXTS)).probabilities for _ in range(5)]

        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(ask, range(4)):
                assert np.allclose(found, expected, atol=1e-9)

    def test_embeddings_for_other_texts_are_refused(self, model, embed):
        with pytest.raises(ModelFailed, match="embeddings"):
            model.score(TEXTS, embed(TEXTS[:-1]))
