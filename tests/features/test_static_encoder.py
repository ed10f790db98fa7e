"""The default encoder: deterministic, of unit length, and sound in what it takes for data."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.core.errors import ArtifactError
from headset.features import static_encoder
from headset.features.static_encoder import load_encoder

TEXTS = ["I lost my card", "", "Überweisung fehlgeschlagen!", "\N{PILE OF POO}", "why " * 5_000, "x" * 500]


@pytest.fixture(scope="module")
def encoder():
    return load_encoder()


@given(texts=st.lists(st.text(), max_size=4))
def test_a_text_has_one_vector_alone_and_in_any_batch(encoder, texts):
    together = encoder.encode(texts)
    assert together.shape == (len(texts), encoder.dim)
    assert together.dtype == np.float32
    alone = [encoder.encode([text])[0] for text in texts]
    assert all(np.array_equal(row, vector) for row, vector in zip(together, alone, strict=True))


@given(text=st.text())
def test_a_vector_has_length_one_or_is_zero(encoder, text):
    length = np.linalg.norm(encoder.encode([text])[0])
    assert length == 0 or length == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("text", ["", " \t\n", "\N{ZERO WIDTH JOINER}", "q" * 101])
def test_a_text_without_known_words_is_zero(encoder, text):
    assert not encoder.encode([text]).any()


def test_case_and_accents_do_not_matter(encoder):
    plain, shouted = encoder.encode(["a cafe", "A CAFÉ"])
    assert np.array_equal(plain, shouted)


def test_two_loads_and_eight_threads_agree(encoder):
    other = load_encoder()
    assert other.version == encoder.version
    expected = encoder.encode(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        assert all(np.array_equal(found, expected) for found in pool.map(lambda _: other.encode(TEXTS), range(16)))


def test_paraphrases_are_nearer_than_strangers(encoder):
    question, paraphrase, stranger = encoder.encode(
        ["My payment was declined", "the transfer got rejected", "How old must I be to open an account?"]
    )
    assert question @ paraphrase > question @ stranger


def test_weights_of_another_content_are_refused(monkeypatch):
    package, name, _ = static_encoder._MODEL
    monkeypatch.setattr(static_encoder, "_MODEL", (package, name, "0" * 64))
    with pytest.raises(ArtifactError, match=r"model\.onnx .* SHA-256 .*lock file"):
        load_encoder()


def test_an_absent_package_is_named(monkeypatch):
    monkeypatch.setattr(static_encoder, "_PIECES", ("no_such_package", "x", "0" * 64))
    with pytest.raises(ArtifactError, match="no-such-package is not installed"):
        load_encoder()
