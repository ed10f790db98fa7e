"""What is loaded is what was registered: files, format and signature."""

from __future__ import annotations

import json

import numpy as np
import pytest
from contracts.text_model import TextModelContract

from headset.core.errors import ArtifactError, ModelFailed
from headset.registry import hosted
from headset.registry.output import Output
from headset.registry.scorer import FORMAT, Arrays, Block, Scorer
from headset.registry.signature import TEXT_SIGNATURE, Column, Tensor, read_signature, write_signature
from headset.registry.text_model import load_text_model
from headset.training.risk.job import SIGNATURE as RISK_SIGNATURE

LOADERS = {FORMAT: Scorer.load}


def make(threshold=0.7):
    generator = np.random.default_rng(7)
    arrays = Arrays(
        idf=generator.uniform(1, 3, 4),
        coefficients=generator.normal(size=(4, 2)).astype(np.float32),
        embedding=generator.normal(size=(3, 2)).astype(np.float32),
        intercepts=generator.normal(size=2),
    )
    blocks = (Block("word", 1, 2, 1.0, 2), Block("char", 3, 4, 1.0, 2))
    return Scorer(("lost", "new"), threshold, 0.5, blocks, ["card", "my card", "car", "ard"], arrays)


class TestScorer(TextModelContract):
    @pytest.fixture
    def model(self):
        return make()

    @pytest.fixture
    def dim(self):
        return 3


def test_the_recorded_folder_is_loaded(tmp_path):
    sha256 = make().save(tmp_path)
    model = load_text_model(tmp_path, LOADERS, recorded=sha256, signature=TEXT_SIGNATURE)
    assert model.labels == ("lost", "new")


def test_a_whole_folder_that_was_exchanged_is_refused(tmp_path):
    sha256 = make().save(tmp_path)
    make(threshold=0.1).save(tmp_path)  # all its hashes fit its own manifest
    with pytest.raises(ArtifactError, match=r"the registry's record says .* exchanged after it was registered"):
        load_text_model(tmp_path, LOADERS, recorded=sha256)


def test_another_signature_is_refused_with_both_named(tmp_path):
    sha256 = make().save(tmp_path)
    with pytest.raises(ArtifactError, match=r"\(text: string\).*on record is \(features: string\)"):
        load_text_model(tmp_path, LOADERS, recorded=sha256, signature=RISK_SIGNATURE)


def test_a_format_that_nothing_reads_is_refused_with_those_there_are(tmp_path):
    make().save(tmp_path)
    with pytest.raises(ArtifactError, match="'headset-scorer/1', this Headset reads headset-hosted/1"):
        load_text_model(tmp_path, {hosted.FORMAT: Scorer.load})


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"inputs": "[]"}', '{"inputs": "x", "outputs": "[]"}'])
def test_what_is_no_signature_is_refused(text):
    with pytest.raises(ArtifactError, match="signature"):
        read_signature(text)


def test_a_signature_survives_writing():
    inputs = (Column("tensor", "embedding", tensor=Tensor("float32", (-1, 4))),)
    outputs = (Column("string", "intent"), Column("double"))
    found = read_signature(write_signature(inputs, outputs))
    assert (found.inputs, found.outputs) == (inputs, outputs)
    assert json.loads(TEXT_SIGNATURE)["params"] is None


@pytest.mark.parametrize(
    ("gives", "values", "problem"),
    [
        ("margins", [[1.0, 2.0, 3.0]], r"array \(1, 3\) for 1 texts and 2 labels"),
        ("margins", [[float("inf"), 1.0]], "not finite"),
        ("probabilities", [[0.2, 0.2]], "do not sum to one"),
        ("probabilities", [[-0.2, 1.2]], "outside 0 to 1"),
        ("confidence", [[1.5, 0.0]], "outside 0 to 1"),
    ],
)
def test_numbers_that_cannot_be_read_are_refused(gives, values, problem):
    with pytest.raises(ModelFailed, match=problem):
        Output(gives).scores(np.array(values), rows=1, labels=2)


@pytest.mark.parametrize("confidence", [1e-300, 0.2, 0.5, 1.0])
def test_an_answer_stays_the_most_probable_label(confidence):
    scores = Output("confidence").scores(np.array([[0.0, confidence, 0.0]]), rows=1, labels=3)
    assert scores.probabilities.argmax() == 1
    assert scores.probabilities.sum() == pytest.approx(1)
    assert np.isfinite(scores.in_scope).all()


def test_probabilities_are_taken_as_they_are_at_temperature_one():
    given = np.array([[0.1, 0.9], [0.5, 0.5]])
    assert Output("probabilities").scores(given, rows=2, labels=2).probabilities == pytest.approx(given)
