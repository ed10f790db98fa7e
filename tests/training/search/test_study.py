from __future__ import annotations

import random
import threading
from contextlib import closing

import msgspec
import pytest

from headset.core.errors import Conflict, HeadsetError, InvalidInput, NotFound, StorageFailed
from headset.training.recipe import SHIPPED
from headset.training.search import worker
from headset.training.search.run import best_of
from headset.training.search.study import Study
from headset.training.search.worker import TRIALS, work

from .conftest import Formula


def make(study, trials, objective=None):
    """All trials by one worker in this process."""
    study.note(TRIALS, "0")
    while sum(trial.finished for trial in study.trials()) < trials:
        study.propose(trials)
        work(study, objective or Formula(), "here:1")
    return study.trials()


def tried(trials):
    return [(trial.number, trial.state, trial.drawn, trial.value) for trial in trials]


@pytest.fixture
def ten(begin):
    return tried(make(begin("whole"), 10))


def test_trial_0_is_the_shipped_recipe_and_is_never_pruned(begin):
    trials = make(begin(), 8)
    assert trials[0].recipe == SHIPPED
    assert trials[0].state == "complete"
    assert len({tuple(trial.drawn.values()) for trial in trials}) == 8


def test_equal_seeds_give_equal_trials(begin, ten, settings):
    assert tried(make(begin("again"), 10)) == ten
    other = msgspec.structs.replace(settings, request=msgspec.structs.replace(settings.request, seed=8))
    assert tried(make(begin("other", settings=other), 10)) != ten


def test_the_order_in_which_workers_finish_changes_no_trial(begin, ten):
    study, order = begin(), random.Random(3)
    while sum(trial.finished for trial in study.trials()) < 10:
        study.propose(10)
        taken = []
        while (trial := study.claim("here:1")) is not None:
            taken.append(trial)
        order.shuffle(taken)
        for trial in taken:
            folds = []
            for fold in range(3):
                folds.append(Formula().fold(trial.recipe, fold))
                if study.keep_fold(trial.number, folds):
                    study.finish(trial.number, "pruned", None)
                    break
            else:
                study.finish(trial.number, "complete", sum(fold["macro_f1"] for fold in folds) / 3)
    found = tried(study.trials())
    assert [each[:3] for each in found] == [each[:3] for each in ten]
    assert [each[3] for each in found] == pytest.approx([each[3] for each in ten])


def test_a_batch_that_was_drawn_in_part_is_completed_with_what_was_missing(begin, ten, monkeypatch):
    study = begin()
    make(study, 4)
    add, added = study._add, []

    def die(*arguments):
        if len(added) == 2:
            raise KeyboardInterrupt
        added.append(arguments)
        add(*arguments)

    monkeypatch.setattr(study, "_add", die)
    with pytest.raises(KeyboardInterrupt):
        study.propose(10)
    assert tried(make(begin(), 10)) == ten


def test_a_search_that_is_extended_tries_what_a_longer_one_would_have(begin, ten):
    make(begin(), 6)
    assert tried(make(begin(), 10)) == ten


def test_a_trial_left_by_its_worker_is_made_again_as_if_it_had_not_been(begin, ten):
    class Dying(Formula):
        left = 5

        def fold(self, recipe, fold):
            self.left -= 1
            if self.left == 0:
                raise SystemExit
            return super().fold(recipe, fold)

    study = begin()
    study.propose(10)
    with pytest.raises(SystemExit):
        work(study, Dying(), "here:2")
    assert [trial.state for trial in study.trials()] == ["complete", "waiting", "waiting", "waiting"]
    assert tried(make(study, 10)) == ten


def test_a_trial_whose_worker_died_twice_is_given_up(begin):
    study = begin()
    study.propose(4)
    for state in ("waiting", "failed"):
        trial = study.claim("here:1")
        study.take_back(trial.number)
        assert study.trials()[0].state == state
    assert "died twice" in study.trials()[0].problem


def test_a_trial_is_finished_once(begin):
    study = begin()
    study.propose(4)
    trial = study.claim("here:1")
    assert study.finish(trial.number, "complete", 0.5)
    assert not study.finish(trial.number, "complete", 0.9)
    study.give_back(trial.number, "here:1")
    study.take_back(trial.number)
    assert (study.trials()[0].state, study.trials()[0].value) == ("complete", 0.5)


def test_a_trial_that_another_worker_has_is_not_given_back(begin):
    study = begin()
    study.propose(4)
    trial = study.claim("here:1")
    study.give_back(trial.number, "there:2")
    assert study.trials()[0].state == "running"


def test_a_recipe_that_no_model_comes_out_of_fails_alone(begin):
    class Picky(Formula):
        def fold(self, recipe, fold):
            if recipe.characters == (3, 5):
                raise ValueError("empty vocabulary")
            return super().fold(recipe, fold)

    trials = make(begin(), 10, Picky())
    failed = [trial for trial in trials if trial.state == "failed"]
    assert {trial.problem for trial in failed} == {"ValueError: empty vocabulary"}
    assert best_of(trials, higher_is_better=True).recipe.characters != (3, 5)


def test_bad_trials_are_pruned_after_a_fold_and_good_ones_are_not(begin):
    trials = make(begin(), 24)
    pruned = [trial for trial in trials if trial.state == "pruned"]
    assert pruned
    assert all(len(trial.folds) == 1 for trial in pruned)
    best = best_of(trials, higher_is_better=True)
    assert best.value > trials[0].value
    assert max(trial.value for trial in pruned) < best.value


def test_the_field_that_decides_is_the_important_one(begin):
    study = begin()
    make(study, 20)
    importance = study.importance()
    assert max(importance, key=importance.get) == "penalty"
    assert sum(importance.values()) == pytest.approx(1)


def test_other_settings_under_the_same_name_are_refused(begin, settings):
    begin()
    for change, problem in (
        ({"request": msgspec.structs.replace(settings.request, seed=8)}, "was begun with seed 7, not 8"),
        ({"data_fingerprint": "other"}, "held other texts"),
        ({"space": msgspec.structs.replace(settings.space, penalty=None)}, "another search space"),
    ):
        with pytest.raises(Conflict, match=problem):
            begin(settings=msgspec.structs.replace(settings, **change))


def test_joining_what_was_never_begun_is_refused(begin, store):
    begin("mine")
    with (
        closing(Study(store, "yours")) as study,
        pytest.raises(NotFound, match=r"'yours' was never begun in .*; there are: mine"),
    ):
        study.join()


@pytest.mark.parametrize("uri", ["sqlite:////nowhere/optuna.db", "postgresql://ann:secret@127.0.0.1:9/x", "nonsense"])
def test_a_store_that_cannot_be_opened_is_named_without_its_password(uri):
    with pytest.raises(HeadsetError) as failure:
        Study(uri, "study")
    assert isinstance(failure.value, InvalidInput | StorageFailed)
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_store_that_fails_midway_says_that_trials_are_kept(begin, tmp_path):
    study = begin()
    study.propose(4)
    for name in ("optuna.db", "optuna.db-wal", "optuna.db-shm"):
        (tmp_path / name).write_bytes(b"no database" * 1_000)
    with pytest.raises(StorageFailed, match="finished trials are kept"):
        study.claim("here:1")


def test_a_beat_ends_with_its_trial_and_outlives_a_store_that_fails_once(begin, monkeypatch):
    """No beat raises: that of an unfinished trial comes again, that of a finished one is the last."""
    study, beats, ended = begin(), [], threading.Event()
    study.propose(4)
    trial = study.claim("here:1")
    beat = study.beat

    def shaky(number, count):
        beats.append(count)
        if count == 1:
            raise StorageFailed("locked")
        if count == 2:
            study.finish(number, "failed", None, "given up")
        try:
            return beat(number, count)
        finally:
            if count >= 2:
                ended.set()

    monkeypatch.setattr(study, "beat", shaky)
    monkeypatch.setattr(worker, "_BEAT_S", 0.001)
    failures = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    with worker._beating(study, trial.number):
        assert ended.wait(60)
        for thread in threading.enumerate():
            if thread.name == "beat":
                thread.join(60)
    assert beats == [1, 2]
    assert failures == []
