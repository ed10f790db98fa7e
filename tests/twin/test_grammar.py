from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.core.errors import InvalidInput
from headset.twin.grammar import expand, punctuate
from headset.twin.phrasebook import LANGUAGES, load_phrasebook

ENGLISH = load_phrasebook("en").typing
SPANISH = load_phrasebook("es").typing
GERMAN = load_phrasebook("de").typing

WORDS = st.text("abcé", min_size=1, max_size=5)
SEEDS = st.integers(0, 2**32)


def test_choices_nest_and_slots_may_hold_slots():
    slots = {"when": ["on {day}"], "day": ["Monday", "Friday"]}
    seen = {expand("(come|(please |)call) {when}", slots, Random(n)) for n in range(60)}
    assert seen == {f"{verb} on {day}" for verb in ("come", "call", "please call") for day in ("Monday", "Friday")}


def test_empty_choices_leave_no_loose_space_or_comma():
    assert expand("when will it (|) be fixed, (|)", {}, Random(1)) == "when will it be fixed"
    assert expand("come(, please|, please), (|).", {}, Random(1)) == "come, please."


def test_a_comma_that_ends_a_template_stays():
    assert expand("(Hi|Hi),", {}, Random(1)) == "Hi,"


def test_bars_and_closing_brackets_outside_of_choices_are_text():
    assert expand("a|b :)", {}, Random(1)) == "a|b :)"


def test_an_open_choice_and_an_unknown_slot_are_refused():
    with pytest.raises(InvalidInput, match="leaves a choice open"):
        expand("come (now|later", {}, Random(1))
    with pytest.raises(KeyError):
        expand("come {when}", {}, Random(1))


@given(st.lists(st.lists(WORDS, min_size=1, max_size=4), min_size=1, max_size=4), SEEDS)
def test_a_text_takes_one_option_of_each_choice(choices, seed):
    template = " ".join(f"({'|'.join(options)})" for options in choices)
    text = expand(template, {}, Random(seed)).split(" ")
    assert len(text) == len(choices)
    assert all(word in options for word, options in zip(text, choices, strict=True))


@given(
    st.recursive(WORDS, lambda inner: st.lists(inner, min_size=1, max_size=3).map("|".join).map("({})".format)), SEEDS
)
def test_equal_seeds_expand_equally_and_leave_no_syntax(template, seed):
    text = expand(template, {}, Random(seed))
    assert text == expand(template, {}, Random(seed))
    assert not set("(|)") & set(text)
    assert text in template


@given(st.lists(WORDS), SEEDS)
def test_words_without_choices_stand_for_themselves(words, seed):
    assert expand("  ".join(words), {}, Random(seed)) == " ".join(words)


def test_questions_and_statements_get_their_marks():
    assert punctuate("can you help", ENGLISH) == "Can you help?"
    assert punctuate("please help. i wait", ENGLISH) == "Please help. I wait."
    assert punctuate("really?", ENGLISH) == "Really?"
    assert punctuate("it broke, can you help", ENGLISH) == "It broke, can you help?"
    assert punctuate("it broke in May. what now", ENGLISH) == "It broke in May. What now?"


def test_a_told_question_is_a_statement():
    assert punctuate("I don't know, what I can do", ENGLISH) == "I don't know, what I can do."
    assert punctuate("perfect, do it", ENGLISH) == "Perfect, do it."
    assert punctuate("ich weiß nicht, wie das geht", GERMAN) == "Ich weiß nicht, wie das geht."
    assert punctuate("der Code kommt an, wird aber nie akzeptiert", GERMAN).endswith(".")


def test_spanish_questions_open_with_a_mark_where_they_begin():
    assert punctuate("puedo pagar en mayo", SPANISH) == "¿Puedo pagar en mayo?"
    assert punctuate("perdí el móvil, pueden bloquearlo", SPANISH) == "Perdí el móvil, ¿pueden bloquearlo?"
    assert punctuate("perdí el móvil", SPANISH) == "Perdí el móvil."
    assert punctuate("¿y eso?", SPANISH) == "¿Y eso?"


def test_names_keep_their_small_first_letter_and_text_that_continues_too():
    assert punctuate("iPhone 13 is broken", ENGLISH) == "iPhone 13 is broken."
    assert punctuate("can you help. i wait", ENGLISH, continues=True) == "can you help. I wait."


@pytest.mark.parametrize("language", LANGUAGES)
@given(text=st.text("abé,.?! ¿", min_size=1))
def test_punctuating_again_changes_nothing_and_letters_stay(language, text):
    typing = load_phrasebook(language).typing
    once = punctuate(text, typing)
    assert punctuate(once, typing) == once
    assert [letter for letter in once.lower() if letter.isalpha()] == [letter for letter in text if letter.isalpha()]
