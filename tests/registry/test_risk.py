from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.core.errors import ArtifactError, ModelFailed
from headset.registry.risk import Input, RiskScorer

INPUTS = (
    Input("history.embedding", "v1", "vector", 2),
    Input("intent.last", "v2", "word"),
    Input("on_demand.asked_again", "v3", "flag"),
    Input("response.last", "v4", "number"),
)
NUMBERS = np.array([[0.0, 1.0, 0.5, -0.25], [0.0, 60.0, 0.05, 1.5]])
WORDS = {"intent.last": {"refund": 2.0, "": -1.0}}
VECTORS = np.array([1.0, -1.0])


def scorer(**changes):
    parts = {
        "inputs": INPUTS, "numbers": NUMBERS, "words": WORDS, "vectors": VECTORS, "intercept": -2.0, "threshold": 0.6,
        "service": "risk", "service_version": "s1",
    }  # fmt: skip
    return RiskScorer(**parts | changes)


ROW = {
    "history.embedding": np.array([0.5, 0.25], np.float32),
    "intent.last": "refund",
    "on_demand.asked_again": True,
    "response.last": 40.0,
}


def test_each_feature_adds_to_the_margin():
    assert scorer().margins([ROW]).tolist() == [-2.0 + 0.25 + 2.0 + 0.5 + 2.0]
    assert scorer().score([ROW]).tolist() == pytest.approx([1 / (1 + math.exp(-2.75))])


@pytest.mark.parametrize(
    ("change", "margin"),
    [
        ({"response.last": 600.0}, 2.75 - 2.0 + 3.0),
        ({"response.last": -5.0}, 2.75 - 2.0),
        ({"response.last": None}, 2.75 - 2.0 + 1.5),
        ({"response.last": math.nan}, 2.75 - 2.0 + 1.5),
        ({"response.last": math.inf}, 2.75 - 2.0 + 1.5),
        ({"response.last": "soon"}, 2.75 - 2.0 + 1.5),
        ({"response.last": 10**400}, 2.75 - 2.0 + 1.5),
        ({"on_demand.asked_again": False}, 2.75 - 0.5),
        ({"on_demand.asked_again": None}, 2.75 - 0.5 - 0.25),
        ({"intent.last": "weather"}, 2.75 - 2.0),
        ({"intent.last": None}, 2.75 - 2.0 - 1.0),
        ({"history.embedding": None}, 2.75 - 0.25),
        ({"history.embedding": np.array([np.nan, 1], np.float32)}, 2.75 - 0.25),
        ({"history.embedding": np.array([0.5, 0.25], "<f4").tobytes()}, 2.75),
        ({"unheard.of": 7.0}, 2.75),
    ],
)
def test_what_is_missing_or_beyond_all_bounds_counts_as_at_training(change, margin):
    assert scorer().margins([ROW | change]).tolist() == [margin]


def test_nothing_known_is_a_probability_too():
    assert scorer().score([{}]).tolist() == pytest.approx([1 / (1 + math.exp(2.0 + 1.0 + 0.25 - 1.5))])
    assert scorer().score([]).tolist() == []


def test_a_vector_of_another_encoder_is_refused():
    with pytest.raises(ModelFailed, match=r"history.embedding has the shape \(3,\), this model needs \(2,\)"):
        scorer().score([ROW | {"history.embedding": np.zeros(3, np.float32)}])


@given(st.lists(st.dictionaries(st.sampled_from(["response.last", "intent.last", "x"]), st.floats() | st.text())))
def test_rows_do_not_depend_on_each_other(rows):
    together = scorer().score(rows)
    assert together.tolist() == [float(scorer().score([row])[0]) for row in rows]
    assert np.all((together > 0) & (together < 1))


def test_saved_and_loaded_it_says_the_same(tmp_path):
    first, again = scorer().save(tmp_path / "a"), scorer().save(tmp_path / "b")
    loaded = RiskScorer.load(tmp_path / "a")
    assert first == again
    assert loaded.score([ROW, {}]).tolist() == scorer().score([ROW, {}]).tolist()
    assert (loaded.threshold, loaded.service, loaded.service_version) == (0.6, "risk", "s1")
    assert list(loaded.features.items()) == [(each.name, each.version) for each in INPUTS]


@pytest.mark.parametrize("name", ["numbers.npy", "vectors.npy", "words.json"])
def test_a_file_that_was_changed_is_not_read(tmp_path, name):
    scorer().save(tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    content[-2] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{name} has SHA-256 .* it was changed after it was saved"):
        RiskScorer.load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name} cannot be read"):
        RiskScorer.load(tmp_path)


def test_a_manifest_of_another_format_or_none_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"manifest.json cannot be read"):
        RiskScorer.load(tmp_path)
    scorer().save(tmp_path)
    manifest = msgspec.json.decode((tmp_path / "manifest.json").read_bytes())
    (tmp_path / "manifest.json").write_bytes(msgspec.json.encode(manifest | {"format": "headset-scorer/1"}))
    with pytest.raises(ArtifactError, match="has the format 'headset-scorer/1', this Headset reads 'headset-risk/1'"):
        RiskScorer.load(tmp_path)
    (tmp_path / "manifest.json").write_bytes(b"{")
    with pytest.raises(ArtifactError, match="is damaged"):
        RiskScorer.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"inputs": ()}, "reads no feature"),
        ({"inputs": (*INPUTS, INPUTS[0])}, "one twice"),
        ({"numbers": NUMBERS[:1]}, r"numbers is float64 \(1, 4\)"),
        ({"numbers": NUMBERS.astype(np.float32)}, "numbers is float32"),
        ({"numbers": NUMBERS * np.nan}, "numbers holds a number that is not finite"),
        ({"vectors": np.zeros(3)}, r"the features need float64 \(2,\)"),
        ({"words": {"response.last": {}}}, "words of response.last"),
        ({"intercept": math.inf}, "the intercept is inf"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, problem):
    with pytest.raises(ArtifactError, match=problem):
        scorer(**changes)
