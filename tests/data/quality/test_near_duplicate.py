"""Nearly equal texts are found, and no others."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headset.data.quality.near_duplicate import near_pairs, shingles


def similarity(one, other):
    first, second = set(shingles(one).tolist()), set(shingles(other).tolist())
    return len(first & second) / len(first | second)


def test_a_changed_sign_and_a_greeting_are_near():
    texts = [
        "when will my new card be delivered to me",
        "hi when will my new card be delivered to me!",
        "close my account",
    ]
    assert [pair[:2] for pair in near_pairs(texts, 0.75)] == [(0, 1)]


@given(st.lists(st.text("abc ", min_size=1, max_size=12), max_size=8))
def test_pairs_are_as_near_as_they_say(texts):
    for one, other, found in near_pairs(texts, 0.6):
        assert one < other
        assert found == similarity(texts[one], texts[other]) >= 0.6


def test_hardly_a_near_pair_is_overlooked(seed):
    random = np.random.default_rng(seed)
    words = ["".join(random.choice(list("abcdefghij"), 6)) for _ in range(40)]
    texts = [" ".join(random.choice(words, 9)) for _ in range(150)]
    texts += [f"{text} now" for text in texts[:60]]
    wanted = {pair for pair in combinations(range(len(texts)), 2) if similarity(*(texts[at] for at in pair)) >= 0.75}
    found = {pair[:2] for pair in near_pairs(texts, 0.75)}
    assert found <= wanted
    assert {later for _, later in found} == {later for _, later in wanted}


def test_equal_templates_cost_two_comparisons_each(monkeypatch):
    compared = []
    from headset.data.quality import near_duplicate  # noqa: PLC0415

    real = near_duplicate._jaccard
    monkeypatch.setattr(near_duplicate, "_jaccard", lambda *pair: compared.append(1) or real(*pair))
    texts = [f"your code for the login to our portal of customers is {number}" for number in range(1_000)]
    assert len({later for _, later, _ in near_pairs(texts, 0.75)}) == 999
    assert len(compared) < 2 * 1_000 * 20
