from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.twin.chat import write_chat
from headset.twin.phrasebook import LANGUAGES, load_phrasebook

ENGLISH = load_phrasebook("en").typing
SPANISH = load_phrasebook("es").typing
GERMAN = load_phrasebook("de").typing


def many(text, typing, count=2_000):
    return [write_chat(text, typing, Random(seed)) for seed in range(count)]


@pytest.mark.parametrize("language", LANGUAGES)
@given(text=st.text("aZéß'.? ¿", min_size=1).filter(str.strip), seed=st.integers(0, 2**32))
def test_typing_accepts_any_text_and_keeps_its_words(language, text, seed):
    typed = write_chat(text, load_phrasebook(language).typing, Random(seed))
    assert len(typed.split()) >= len(re.sub(r"[^aZéß ]", "", text).split())


@given(st.lists(st.integers(0, 9_999_999), max_size=5), st.integers(0, 2**32))
def test_numbers_are_typed_right(numbers, seed):
    text = ", ".join(map(str, numbers))
    assert re.findall(r"\d+", write_chat(f"number {text} here", ENGLISH, Random(seed))) == list(map(str, numbers))


def test_equal_seeds_type_equally_and_others_differ():
    text = "Something is wrong with my connection."
    assert many(text, ENGLISH, 50) == many(text, ENGLISH, 50)
    assert len(set(many(text, ENGLISH, 50))) > 10


def test_some_type_carefully():
    text = "Something is wrong, and I can't say what. Please help."
    assert 0.35 <= many(text, ENGLISH).count(text) / 2_000 <= 0.5


def test_most_leave_out_the_opening_mark():
    kept = [typed for typed in many("¿Puedo pagar más tarde?", SPANISH) if "¿" in typed]
    assert 0.1 <= len(kept) / 2_000 <= 0.35


def test_who_leaves_out_accents_does_so_in_every_word():
    texts = [typed for typed in many("Mi avión salió ayer, qué más.", SPANISH) if typed.isascii()]
    assert 0.2 <= len(texts) / 2_000 <= 0.45
    mixed = [typed for typed in many("él sí va.", SPANISH) if sum(map(typed.lower().count, "éí")) == 1]
    assert not mixed  # words too short for a slip


def test_few_write_ae_for_a_umlaut():
    folded = [typed for typed in many("Ich möchte das ändern.", GERMAN) if "ae" in typed.lower()]
    assert 0.03 <= len(folded) / 2_000 <= 0.15


def test_short_forms_belong_to_the_language():
    assert any(re.search(r"\bpls\b", typed) for typed in many("Please help.", ENGLISH))
    assert any(re.search(r"\bq\b", typed) for typed in many("Quiero que funcione.", SPANISH))
    assert not any(re.search(r"\bpls\b", typed) for typed in many("Please help.", GERMAN))
