from __future__ import annotations

from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from headset.data.synthetic.privacy import CROWD, RUN, SIMILAR, PrivacyFilter
from headset.data.synthetic.token import normal, runs

WORDS = st.sampled_from(["card", "my", "lost", "the", "a", "top", "up", "fee", "why", "was", "transfer", "cash"])
TEXTS = st.lists(WORDS, min_size=1, max_size=14).map(" ".join)


def is_near_copy_the_long_way(text, real):
    plain, known = normal(text), {normal(one) for one in real}
    similar = any(Levenshtein.normalized_similarity(plain, one) >= SIMILAR for one in known)
    shared = [sum(run in runs(one.split(), RUN) for one in known) for run in runs(plain.split(), RUN)]
    return similar or any(0 < count < CROWD for count in shared)


@example(["my why the"], "my my the")  # exactly as similar as is refused
@given(st.lists(TEXTS, min_size=1, max_size=12), TEXTS)
def test_the_index_finds_what_comparing_with_every_text_finds(real, text):
    assert PrivacyFilter(real).is_near_copy(text) == is_near_copy_the_long_way(text, real)


@given(st.text("abc ", min_size=1, max_size=30), st.data())
def test_a_text_changed_in_few_places_is_still_a_near_copy(text, data):
    plain = normal(text)
    edits = data.draw(st.integers(0, int(len(plain) * (1 - SIMILAR))))
    changed = list(plain)
    for place in data.draw(st.permutations(range(len(plain))))[:edits]:
        changed[place] = "z"
    if plain:
        assert PrivacyFilter([text, "another one"]).is_near_copy("".join(changed))


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("I LOST my card -- in Madrid, on Monday!", True),
        ("yesterday it happened that i lost my card in madrid and now what can be done about it", True),
        ("Could I lose a card?", False),
        ("hello there i would like to know how much it costs to top up", False),
    ],
)
def test_copies_and_long_runs_of_one_customer_are_refused_but_common_phrases_are_not(text, near):
    common = [f"hello there i would like to know how {ending}" for ending in ("this works", "it is", "fees add up")]
    assert PrivacyFilter(["I lost my card in Madrid on Monday", *common]).is_near_copy(text) is near


def test_an_empty_data_set_has_nothing_to_copy():
    assert not PrivacyFilter([]).is_near_copy("anything at all")


def test_thousands_of_texts_are_looked_through_by_their_index(seed):
    random = Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    real = [" ".join("".join(random.choices(letters, k=5)) for _ in range(10)) for _ in range(3_000)]
    known = PrivacyFilter(real)
    assert all(len(known._may_be_similar(normal(text))) < 30 for text in real[:50])
    assert all(known.is_near_copy(text) for text in real[:50])
