"""A user's own estimator: fitted, calibrated, kept without pickle, served from its own process."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from random import Random
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from contracts.text_model import TextModelContract

from headset.core.clock import ManualClock, SystemClock
from headset.core.errors import ArtifactError, InvalidInput, ModelFailed
from headset.registry import child_message
from headset.registry.child_message import Fit
from headset.registry.hosted import HostedModel, Limits
from headset.training.plugin import estimator, learner
from headset.training.plugin.learner import Learning, fit_learner

pytestmark = pytest.mark.slow

MODULE = '''
import time, sys
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from words import Lower

def proba():
    return make_pipeline(Lower(), CountVectorizer(token_pattern=r"\\w+"), MultinomialNB(alpha=0.1))

class Only(ClassifierMixin, BaseEstimator):
    """Answers without saying how sure it is."""
    mode = "fine"
    def fit(self, texts, labels):
        self.first_ = min(labels)
        self.words_ = sorted(set(labels))
        return self
    def predict(self, texts):
        found = [next((word for word in self.words_ if word in text), self.first_) for text in texts]
        return {"fine": found, "foreign": ["elsewhere"] * len(texts), "short": found[:-1]}[self.mode]

class Foreign(Only): mode = "foreign"
class Short(Only): mode = "short"

class Odd(ClassifierMixin, BaseEstimator):
    value = np.nan
    def fit(self, texts, labels):
        self.classes_ = np.unique(labels)
        return self
    def predict_proba(self, texts):
        return np.full((len(texts), len(self.classes_)), self.value)

class Halves(Odd): value = 0.5

class Raises(Odd):
    def fit(self, texts, labels):
        raise ValueError(texts[0])

class Sleeps(Odd):
    def fit(self, texts, labels):
        time.sleep(600)

class Leaves(Odd):
    def fit(self, texts, labels):
        import os
        os._exit(3)

class Prints(Only):
    def predict(self, texts):
        print("a line that is no answer", flush=True)
        return super().predict(texts)

class Holds(Only):
    def fit(self, texts, labels):
        import fractions
        self.held_ = fractions.Fraction(1, 3)
        return super().fit(texts, labels)

def nothing(): return None
def broken(): raise RuntimeError("no licence")
def noisy():
    return Prints()
'''
WORDS = """
from sklearn.base import BaseEstimator, TransformerMixin

class Lower(TransformerMixin, BaseEstimator):
    def fit(self, texts, labels=None):
        self.fitted_ = True
        return self
    def transform(self, texts):
        return [text.lower() for text in texts]
"""
INTENTS = ("battery", "parcel", "refund")


@pytest.fixture(scope="module")
def fit(tmp_path_factory):
    code, scratch = tmp_path_factory.mktemp("code"), tmp_path_factory.mktemp("scratch")
    (code / "my_models.py").write_text(MODULE)
    (code / "words.py").write_text(WORDS)
    random = Random(7)
    labels = [intent for intent in INTENTS for _ in range(20)]
    texts = [f"{random.choice(('my', 'a', 'the'))} {label} number {row}" for row, label in enumerate(labels)]

    def run(factory, limit_s=120.0, clock=None, progress=lambda *_: None):
        learning = Learning(f"my_models:{factory}", code, limit_s, scratch)
        return fit_learner(
            texts, labels, learning, seed=7, target_precision=0.8, clock=clock or SystemClock(), progress=progress
        )

    def here(place):
        """Fit in this process: starting another takes seconds."""
        folds = tuple(row % 3 for row in range(len(texts)))
        to = tmp_path_factory.mktemp("to")
        return estimator.fit(
            Fit(place, str(code), tuple(texts), tuple(labels), INTENTS, folds, 7, str(to)), lambda *_: None
        )

    before = list(sys.path)
    yield SimpleNamespace(run=run, here=here, code=code, scratch=scratch)
    sys.path[:] = before
    for name in ("my_models", "words"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def trained(fit):
    return fit.run("proba")


@pytest.fixture(scope="module")
def saved(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "model"
    return SimpleNamespace(folder=folder, sha256=trained.save(folder, {"beside.json": b"{}"}))


def test_it_learns_and_is_calibrated(trained):
    assert trained.metrics.accuracy == 1.0
    assert trained.temperature > 0
    scores = trained.model.score(["My PARCEL please"], np.zeros((1, 3)))
    assert trained.model.labels[scores.probabilities.argmax()] == "parcel"


def test_its_sources_are_kept_and_no_pickle(saved):
    names = {path.relative_to(saved.folder).as_posix() for path in saved.folder.rglob("*") if path.is_file()}
    assert names == {"manifest.json", "estimator.skops", "code/my_models.py", "code/words.py", "beside.json"}
    assert msgspec.json.decode((saved.folder / "manifest.json").read_bytes())["trusted_types"] == ["words.Lower"]


def test_equal_trainings_give_equal_bytes_and_the_time_limit_is_that_of_one_fit(fit, saved, tmp_path):
    clock = ManualClock()
    again = fit.run("proba", limit_s=100.0, clock=clock, progress=lambda *_: clock.advance(60))
    assert clock.monotonic() >= 240
    assert again.save(tmp_path / "again", {"beside.json": b"{}"}) == saved.sha256


def test_the_registered_copy_runs_without_the_users_folder(saved, fit, tmp_path):
    moved = fit.code.rename(tmp_path / "moved")
    try:
        model = HostedModel(saved.folder, Limits(), SystemClock())
        assert model.score(["refund"], np.zeros((1, 3))).probabilities.argmax() == INTENTS.index("refund")
    finally:
        moved.rename(fit.code)


@pytest.mark.parametrize("name", ["estimator.skops", "code/words.py"])
def test_a_changed_file_is_refused(saved, name, tmp_path):
    folder = _copied(saved.folder, tmp_path / "copy")
    (folder / name).write_bytes((folder / name).read_bytes() + b"#")
    with pytest.raises(ArtifactError, match=f"{name} has SHA-256 .* changed after it was saved"):
        HostedModel(folder, Limits(), SystemClock())


@pytest.mark.parametrize("name", ["code/numpy.py", "code/__pycache__/words.cpython-311.pyc", "extra.txt"])
def test_a_file_too_many_is_refused(saved, name, tmp_path):
    folder = _copied(saved.folder, tmp_path / "copy")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"")
    with pytest.raises(ArtifactError, match="not in the manifest"):
        HostedModel(folder, Limits(), SystemClock())


def test_a_killed_process_is_replaced_and_ends_with_its_model(saved):
    model = HostedModel(saved.folder, Limits(), SystemClock())
    expected, first = model.score(["refund"], np.zeros((1, 3))).probabilities, model.pid
    os.kill(first, signal.SIGKILL)
    while True:
        with suppress(ModelFailed):
            found = model.score(["refund"], np.zeros((1, 3))).probabilities
            break
        time.sleep(0.05)
    assert np.array_equal(found, expected)
    second = model.pid
    assert second != first
    del model
    _await_end(second)


def test_too_little_memory_is_said(saved):
    with pytest.raises(ModelFailed, match="cannot be loaded"):
        HostedModel(saved.folder, Limits(memory_bytes=60_000_000), SystemClock())


def test_no_secret_of_the_environment_reaches_it(trained, monkeypatch):
    environ = Path(f"/proc/{trained.model.pid}/environ")
    if not environ.exists():
        pytest.skip("this system has no /proc")
    names = {entry.partition("=")[0] for entry in environ.read_text().split("\0") if entry}
    assert "PATH" in os.environ
    assert "PATH" not in names
    assert names <= {
        "DO_NOT_TRACK", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONHASHSEED",
        "PYTHONPATH", "PYTHONUTF8",
    }  # fmt: skip


def test_answers_alone_get_the_precision_of_their_label_whatever_is_printed(fit):
    model = fit.run("noisy").model
    scores = model.score(["my refund"], np.zeros((1, 3)))
    assert scores.probabilities[0, INTENTS.index("refund")] == pytest.approx(21 / 22)  # 20 of 20 were right


@pytest.mark.parametrize(
    ("factory", "problem"),
    [
        ("Raises", "raised ValueError in my_models.py line"),
        ("Leaves", "ended: exit code 3"),
    ],
)
def test_a_learner_that_raises_or_ends_its_process_is_refused_without_telling_a_text(fit, factory, problem):
    with pytest.raises(InvalidInput, match=problem) as refusal:
        fit.run(factory)
    assert "number 0" not in str(refusal.value)


@pytest.mark.parametrize(
    ("factory", "problem"),
    [
        ("absent", "my_models has no function 'absent'; it has: .*proba"),
        ("nothing", "gave a NoneType; give an estimator"),
        ("broken", "raised RuntimeError: no licence"),
        ("Odd", "a number that is not finite"),
        ("Halves", "do not sum to one"),
        ("Foreign", "a label that is none"),
        ("Short", r"an array \(\d+,\) for \d+ texts"),
        ("Holds", "holds fractions.Fraction|without pickle"),
    ],
)
def test_a_learner_that_cannot_be_used_is_refused_with_the_reason(fit, factory, problem):
    with pytest.raises((InvalidInput, ModelFailed), match=problem):
        fit.here(f"my_models:{factory}")


def test_more_rows_than_an_answer_may_hold_are_refused_before_anything_is_fitted(fit, monkeypatch):
    monkeypatch.setattr(learner, "FRAME_LIMIT", 59 * 3 * 8)
    with pytest.raises(InvalidInput, match="has 60 rows; with 3 intents a learner of your own takes 59 at most"):
        fit.run("absent")


def test_a_message_over_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr(child_message, "FRAME_LIMIT", 100)
    with pytest.raises(ModelFailed, match="bytes at once, the limit is 100"):
        child_message.framed(child_message.Score(("a" * 100,)))


def test_a_learner_that_never_returns_is_ended(fit):
    with pytest.raises(InvalidInput, match="no answer within 8 s"):
        fit.run("Sleeps", limit_s=8.0)


def test_a_module_that_is_not_there_is_named(fit):
    with pytest.raises(InvalidInput, match="there is no module 'nowhere' in"):
        fit.here("nowhere:build")
    with pytest.raises(InvalidInput, match="json is not a module of"):
        fit.here("json:loads")


class TestHostedModel(TextModelContract):
    @pytest.fixture
    def model(self, trained):
        return trained.model

    @pytest.fixture
    def dim(self):
        return 3


def _copied(folder, to):
    for path in folder.rglob("*"):
        if path.is_file():
            place = to / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    return to


def _await_end(pid):
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and sys.platform == "linux":
        assert time.monotonic() < deadline, "the process outlives its model"
        time.sleep(0.02)
