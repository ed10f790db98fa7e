from __future__ import annotations

import re
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from headset.twin.grammar import expand, punctuate, type_casually


def test_choices_nest_and_slots_may_hold_slots():
    slots = {"when": ["on {day}"], "day": ["Monday", "Friday"]}
    seen = {expand("(come|(please |)call) {when}", slots, Random(n)) for n in range(60)}
    assert seen == {f"{verb} on {day}" for verb in ("come", "call", "please call") for day in ("Monday", "Friday")}


def test_empty_choices_leave_no_loose_space_or_comma():
    assert expand("when will it (|) be fixed, (|)", {}, Random(1)) == "when will it be fixed"


def test_questions_and_statements_get_their_marks():
    assert punctuate("can you help") == "Can you help?"
    assert punctuate("please help. i wait") == "Please help. I wait."
    assert punctuate("really?") == "Really?"


@given(st.text("aZé'.? ", min_size=1).filter(str.strip), st.integers())
def test_typing_accepts_any_text_and_keeps_its_words(text, seed):
    typed = type_casually(punctuate(text), Random(seed))
    assert len(typed.split()) >= len(re.sub(r"[^aZé ]", "", text).split())


def test_equal_seeds_type_equally():
    text = "Something is wrong with my connection."
    assert [type_casually(text, Random(n)) for n in range(50)] == [type_casually(text, Random(n)) for n in range(50)]
    assert len({type_casually(text, Random(n)) for n in range(50)}) > 10
