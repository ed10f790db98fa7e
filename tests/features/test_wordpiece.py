"""WordPiece cuts greedily, and leaves out what it cannot spell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.features.wordpiece import WordPiece

VOCABULARY = {"un": 1, "##aff": 2, "##able": 3, "able": 4, "a": 5, "##a": 6, "?": 7, "字": 8, "e": 9}


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("UNaffable", [1, 2, 3]),
        ("unable?", [1, 3, 7]),
        ("unz able", [4]),
        ("字字a", [8, 8, 5]),
        ("é_e", [9, 9]),
        ("a" * 101, []),
    ],
)
def test_words_are_cut_into_the_longest_pieces(text, ids):
    assert WordPiece(VOCABULARY).ids(text) == ids


@given(left=st.text(), right=st.text())
def test_words_are_cut_each_for_itself(left, right):
    tokenizer = WordPiece(VOCABULARY)
    assert tokenizer.ids(f"{left} {right}") == tokenizer.ids(left) + tokenizer.ids(right)
