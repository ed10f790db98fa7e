"""A study in a store of its own, and a stand-in for the objective that needs no model."""

from __future__ import annotations

import pytest

from headset.training.search.request import SearchRequest, Settings
from headset.training.search.space import read_space_text
from headset.training.search.study import Study

SPACE = """
characters = [[2, 4], [3, 4], [3, 5]]
penalty = {low = 0.1, high = 2.0}
embedding_weight = {low = 0.5, high = 4.0}
"""


class Formula:
    """Judges a recipe by a formula: the penalty should be 0.8, every fold a little different."""

    def fold(self, recipe, fold):
        score = 1 - abs(recipe.penalty - 0.8) - 0.01 * fold
        return {"macro_f1": score, "accuracy": score, "log_loss": 1 - score}


@pytest.fixture
def settings():
    return Settings(
        request=SearchRequest(dataset="bank", seed=7, batch=4),
        space=read_space_text(SPACE, "test"),
        data_fingerprint="f",
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    """The URL of an empty store, one on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'optuna.db'}"
    return request.getfixturevalue("postgres_database")


@pytest.fixture
def begin(store, settings):
    opened = []

    def run(name="study", settings=settings):
        study = Study(store, name)
        opened.append(study)
        study.begin(settings)
        return study

    yield run
    for study in opened:
        study.close()
