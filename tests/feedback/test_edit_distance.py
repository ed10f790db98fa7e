"""Edit distance: the textbook's numbers, quick on the longest texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.feedback.edit_distance import edit_distance


@pytest.mark.parametrize(
    ("suggested", "sent", "distance"),
    [("kitten", "sitting", 3 / 7), ("same", "same", 0), ("", "", 0), ("", "new", 1), ("né", "ne", 1 / 2)],
)
def test_it_is_levenshtein_over_the_longer_length(suggested, sent, distance):
    assert edit_distance(suggested, sent) == distance


@given(st.text(alphabet="ab", max_size=8), st.text(alphabet="ab", max_size=8))
def test_it_equals_the_plain_algorithm(one, other):
    previous = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        row = [i]
        for j, right in enumerate(other, 1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (left != right)))
        previous = row
    assert edit_distance(one, other) == pytest.approx(previous[-1] / max(len(one), len(other), 1))


def test_two_texts_of_the_longest_length_are_compared():
    assert edit_distance("ab" * 8_000, "ba" * 8_000) == 2 / 16_000
