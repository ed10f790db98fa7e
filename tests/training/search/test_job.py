"""Searches that do not go as they should, told without a traceback."""

from __future__ import annotations

import msgspec
import pytest

from headset.core.errors import HeadsetError, InvalidInput
from headset.page.document import render as render_page
from headset.training.recipe import SHIPPED
from headset.training.search import job
from headset.training.search.objective import Difference
from headset.training.search.page import make_page
from headset.training.search.report import render
from headset.training.search.space import read_space_text

from .conftest import Formula


class Judge(Formula):
    """Compares as if the one were better."""

    rows, test_name = 80, "held out rows"

    def compare(self, recipe, other):
        assert other == SHIPPED
        return Difference(0.9, 0.8, 0.1, 0.05, 0.15, 40)


@pytest.fixture
def stopped(begin):
    """``stopped(how)`` gives the report of a study in which the first trial was left so, and others are complete."""

    def run(how, others=3):
        study = begin()
        study.propose(4)
        first = study.claim("here:1")
        if how == "running":
            study.keep_fold(0, [Judge().fold(first.recipe, 0)])
        else:
            study.finish(0, "failed", None, "ValueError: empty vocabulary")
        for number in range(1, 1 + others):
            trial = study.claim("here:1")
            folds = [Judge().fold(trial.recipe, fold) for fold in range(3)]
            for count in range(1, 4):
                study.keep_fold(number, folds[:count])
            study.finish(number, "complete", sum(fold["macro_f1"] for fold in folds) / 3)
        return study, job._report(study, Judge(), 4)

    return run


@pytest.mark.parametrize(("how", "told"), [("running", "is running"), ("failed", "failed")])
def test_a_shipped_recipe_that_is_not_complete_is_said_and_not_compared_by_fold(stopped, how, told):
    study, report = stopped(how)
    assert (report.shipped, report.fold_differences) == (None, [])
    assert f"trial 0, the shipped recipe, {told}" in report.verdict.replace("Trial", "trial")
    assert report.better is (how == "running")
    assert msgspec.json.decode(msgspec.json.encode(report), type=type(report)) == report
    page = render_page(make_page(report, study.trials(), {}))
    assert "shipped recipe: not complete" in page
    assert "in 3 folds" in page
    render(report)


def test_a_search_without_a_complete_trial_says_so(stopped):
    with pytest.raises(HeadsetError, match="no trial of study 'study' is complete: ValueError: empty vocabulary"):
        stopped("failed", others=0)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_worker_without_an_encoder_of_the_space_takes_no_trial(begin, settings, tmp_path):
    space = read_space_text('encoder = ["static", "minilm"]', "test")
    study = begin(settings=msgspec.structs.replace(settings, space=space))
    study.propose(4)
    with pytest.raises(InvalidInput, match="'minilm' is not installed; there are: static"):
        job.join_search(log=None, vault=None, encoders={"static": None}, home=tmp_path, storage="", name="study", pid=1)
    assert {trial.state for trial in study.trials()} == {"waiting"}
