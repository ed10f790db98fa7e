"""Signals are kept with a turn in few bytes, and come back as they were kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from msgspec.structs import replace

from headset.core.errors import StorageFailed
from headset.features.signal import pack, unpack
from headset.features.static_encoder import load_encoder

from .conversation_log import Told

vectors = arrays(np.float32, st.integers(0, 50), elements=st.floats(-100, 100, width=32))


@given(vectors)
def test_a_packed_vector_is_off_by_less_than_a_127th_of_its_largest_number(vector):
    found = unpack(pack(vector))
    assert found.dtype == np.float32
    assert len(pack(vector)) == 4 + len(vector)
    assert np.all(np.abs(found - vector) <= np.abs(vector).max(initial=0) / 127)


@given(vectors)
def test_packing_what_was_packed_changes_nothing_a_feature_could_see(vector):
    once = unpack(pack(vector))
    assert np.allclose(unpack(pack(once)), once, rtol=1e-6, atol=1e-37)


def test_an_embedding_keeps_its_direction():
    texts = ["where is my refund", "the line is dead since yesterday", "ok", "I want to cancel my contract at once"]
    for vector in load_encoder().encode(texts):
        found = unpack(pack(vector))
        assert found @ vector / np.linalg.norm(found) > 0.9995


def test_an_embedding_of_another_length_than_its_encoder_gives_is_refused(tmp_path):
    told = Told(tmp_path)
    told.start()
    told.say("some words", kept=True)
    record = told.log.read(after=1)[0]
    turn = record.event.payload
    short = told.vault.seal_bytes(record.event.subject, pack(np.ones(3, np.float32)))
    event = replace(record.event, payload=replace(turn, embedding=short))
    with pytest.raises(StorageFailed, match="another length than letters-1"):
        told.signals.signals(event)
