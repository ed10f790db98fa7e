"""The artifact: what is saved is what is loaded, and nothing else is accepted."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import msgspec
import numpy as np
import pytest

from headset.core.errors import ArtifactError, ModelFailed
from headset.registry.scorer import Arrays, Block, Scorer

TERMS = ["card", "my card", "car", "ard"]
TEXTS = ["My card!", "", "no term of mine", "card card card"]


def make_arrays(**changes):
    generator = np.random.default_rng(7)
    arrays = Arrays(
        idf=generator.uniform(1, 3, 4),
        coefficients=generator.normal(size=(4, 2)).astype(np.float32),
        embedding=generator.normal(size=(3, 2)).astype(np.float32),
        intercepts=generator.normal(size=2),
    )
    return replace(arrays, **changes)


def make(**changes):
    parts = {
        "labels": ("lost", "new"),
        "threshold": 0.7,
        "temperature": 0.5,
        "blocks": (Block("word", 1, 2, 1.0, 2), Block("char", 3, 4, 1.0, 2)),
        "terms": TERMS,
        "arrays": make_arrays(),
    }
    return Scorer(**parts | changes)


@pytest.fixture
def embeddings():
    return np.random.default_rng(8).normal(size=(len(TEXTS), 3)).astype(np.float32)


@pytest.fixture
def saved(tmp_path):
    make().save(tmp_path)
    return tmp_path


def test_a_loaded_model_gives_equal_bits(saved, embeddings):
    before, after = make().score(TEXTS, embeddings), Scorer.load(saved).score(TEXTS, embeddings)
    assert np.array_equal(before.probabilities, after.probabilities)
    assert np.array_equal(before.in_scope, after.in_scope)


def test_equal_models_are_saved_as_equal_bytes(saved, tmp_path):
    assert make().save(tmp_path / "again") == make().save(saved)
    for path in saved.glob("*.*"):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_scope_is_the_largest_margin_whatever_the_temperature(embeddings):
    cold, hot = (make(temperature=value).score(TEXTS, embeddings) for value in (0.1, 10.0))
    assert np.array_equal(cold.in_scope, hot.in_scope)
    assert (cold.probabilities.max(axis=1) > hot.probabilities.max(axis=1)).all()


def test_margins_are_the_weighted_sum_by_hand():
    model = make(threshold=0.0, temperature=1.0)
    arrays = make_arrays()
    word, char = 0, np.array([2, 3])
    weights = (1 + np.log(2)) * arrays.idf[char]
    expected = arrays.coefficients[word] + weights / np.linalg.norm(weights) @ arrays.coefficients[char]
    scores = model.score(["card, card"], np.zeros((1, 3), np.float32))
    assert scores.in_scope[0] == pytest.approx((expected + arrays.intercepts).max(), abs=1e-6)


@pytest.mark.parametrize("name", ["manifest.json", "terms.json", *(f"{field.name}.npy" for field in fields(Arrays))])
def test_an_absent_file_is_named(saved, name):
    (saved / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name} cannot be read"):
        Scorer.load(saved)


@pytest.mark.parametrize("name", ["terms.json", *(f"{field.name}.npy" for field in fields(Arrays))])
def test_a_changed_file_is_refused(saved, name):
    content = bytearray((saved / name).read_bytes())
    content[-1] ^= 1
    (saved / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{name} has SHA-256 .* changed after it was saved"):
        Scorer.load(saved)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "damaged"),
        (b"[]", "damaged"),
        (b'{"format": "headset-scorer/9"}', "reads 'headset-scorer/1'"),
        (b'{"format": "headset-scorer/1"}', "damaged"),
    ],
)
def test_a_manifest_of_another_form_is_refused(saved, content, problem):
    (saved / "manifest.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=problem):
        Scorer.load(saved)


def test_a_manifest_that_fits_no_longer_is_refused(saved):
    manifest = json.loads((saved / "manifest.json").read_bytes())
    manifest["labels"].append("third")
    (saved / "manifest.json").write_bytes(json.dumps(manifest).encode())
    with pytest.raises(ArtifactError, match="coefficients is float32"):
        Scorer.load(saved)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"labels": ("lost", "lost")}, "1 of them distinct"),
        ({"terms": TERMS[:3]}, "idf is float64"),
        ({"blocks": (Block("word", 1, 2, 1.0, 4), Block("char", 3, 4, 1.0, 2))}, "4 terms for 6 rows"),
        ({"blocks": (Block("stem", 1, 2, 1.0, 4),)}, "analyzers .*stem.* unknown"),
        ({"arrays": make_arrays(idf=np.full(4, np.nan))}, "idf holds a number that is not finite"),
        ({"arrays": make_arrays(intercepts=np.zeros(2, np.float32))}, "intercepts is float32"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, problem):
    with pytest.raises(ArtifactError, match=problem):
        make(**changes)


def test_an_embedding_of_another_encoder_is_refused():
    with pytest.raises(ModelFailed, match=r"\(2, 4\), this model needs \(2, 3\)"):
        make().score(["a", "b"], np.zeros((2, 4), np.float32))


def test_no_text_gives_no_rows():
    scores = make().score([], np.zeros((0, 3), np.float32))
    assert (scores.probabilities.shape, scores.in_scope.shape) == ((0, 2), (0,))


def test_the_terms_survive_every_character(tmp_path):
    terms = ["\n", '"\\', "\N{PILE OF POO}", "\x00"]
    make(terms=terms).save(tmp_path)
    Scorer.load(tmp_path)
    assert msgspec.json.decode((tmp_path / "terms.json").read_bytes()) == terms
