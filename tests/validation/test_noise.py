from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from headset.validation.noise import NOISES, add_typo, change_details, garble

texts = st.text(max_size=80)


@given(texts, st.integers(0, 9))
def test_noise_is_seeded_and_takes_any_text(text, seed):
    for noise in (*NOISES.values(), garble):
        assert noise(text, Random(seed)) == noise(text, Random(seed))


@given(texts, st.integers(0, 9))
def test_a_typo_changes_one_letter_at_most(text, seed):
    assert abs(len(add_typo(text, Random(seed))) - len(text)) <= 1


@given(st.text(alphabet="ab 1234567890", max_size=60), st.integers(0, 9))
def test_details_keep_their_length_in_digits(text, seed):
    changed = change_details(text, Random(seed))
    digits = [len([sign for sign in each if sign.isdigit()]) for each in (text, changed)]
    assert digits[0] == digits[1]


@given(texts, st.integers(0, 9))
def test_shuffled_words_keep_their_letters(text, seed):
    assert sorted(garble(text, Random(seed))) == sorted(text)
