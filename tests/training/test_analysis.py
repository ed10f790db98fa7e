from __future__ import annotations

import numpy as np
import pytest

from headset.training.analysis import Analysis
from headset.training.pipeline import build_pipeline
from headset.training.recipe import Recipe

RECIPE = Recipe(words=(1, 2), characters=(2, 4), embedding_weight=1.5)


@pytest.fixture(scope="module")
def texts(examples):
    return [text for text, _ in examples] + ["", "?"]


def test_a_split_gives_the_numbers_of_a_pipeline_fitted_to_the_seen_rows(texts, encoder):
    seen, unseen = list(range(0, len(texts), 2)), list(range(1, len(texts), 2))
    union = build_pipeline(encoder, RECIPE, seed=7)["features"]
    expected = union.fit_transform([texts[row] for row in seen])
    learned, asked = Analysis(texts).split(RECIPE, encoder, seen, unseen)
    assert abs(learned - expected).max() < 1e-12
    assert abs(asked - union.transform([texts[row] for row in unseen])).max() < 1e-12


def test_the_fitted_pipeline_is_the_one_scikit_learn_fits(examples, encoder):
    texts, labels = zip(*examples, strict=True)
    ours = Analysis(texts).fit(RECIPE, encoder, labels, seed=7)
    theirs = build_pipeline(encoder, RECIPE, seed=7).fit(list(texts), list(labels))
    assert np.array_equal(ours["head"].machine_.coef_, theirs["head"].machine_.coef_)
    unseen = ["my parcel is lost", "", "zzz qqq"]
    assert np.array_equal(ours.decision_function(unseen), theirs.decision_function(unseen))


def test_texts_are_embedded_once_for_all_splits(texts, encoder):
    asked = []

    class Counting:
        version, dim = "counting", encoder.dim

        def encode(self, some):
            asked.append(len(some))
            return encoder.encode(some)

    analysis = Analysis(texts)
    for _ in range(3):
        analysis.split(RECIPE, Counting(), [0, 1, 2], [3, 4])
    assert asked == [len(texts)]
