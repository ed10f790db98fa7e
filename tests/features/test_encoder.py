"""What stands around any encoder."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headset.features.encoder import Remembering


class Counting:
    version, dim = "counting-1", 2

    def __init__(self):
        self.asked = []

    def encode(self, texts):
        self.asked += texts
        return np.array([[len(text), text.count("a")] for text in texts], np.float32).reshape(-1, 2)


@given(batches=st.lists(st.lists(st.text("ab", max_size=3), max_size=6), max_size=6), limit=st.integers(0, 20))
def test_what_is_remembered_equals_what_is_encoded(batches, limit):
    encoder = Remembering(Counting(), limit)
    for batch in batches:
        assert (encoder.encode(batch) == Counting().encode(batch)).all()


def test_no_text_is_encoded_twice_while_there_is_room():
    inner = Counting()
    encoder = Remembering(inner, 2)
    encoder.encode(["a", "b", "a"])
    encoder.encode(["b", "ab", "a"])
    encoder.encode(["ab"])
    assert inner.asked == ["a", "b", "ab", "ab"]
