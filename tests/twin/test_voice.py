from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from headset.twin.phrasebook import LANGUAGES, load_phrasebook
from headset.twin.voice import transcribe

TEXTS = {
    "en": "Hello, my internet is very slow in the evening since Monday. Can you check my line please?",
    "es": "Hola, mi internet va muy lento por la noche desde el lunes. ¿Pueden revisar mi línea por favor?",
    "de": "Hallo, mein Internet ist am Abend seit Montag sehr langsam. Können Sie bitte meine Leitung prüfen?",
}
SPOKEN = [
    ("en", "order 48213", {"order four eight two one three"}),
    ("en", "#30981", {"number three zero nine eight one", "number three oh nine eight one"}),
    ("en", "$9 or $12.50", {"nine dollars or twelve fifty", "nine dollars or twelve dollars fifty"}),
    ("en", "20GB on my S22", {"twenty gigabytes on my s twenty two"}),
    ("en", "the 15th, 0.5 Mbps, 80%", {"the fifteenth zero point five megabits eighty percent"}),
    ("en", "5G (256 GB), 1,200 texts", {"five g two hundred and fifty six gigabytes one thousand two hundred texts"}),
    ("es", "pedido 48213", {"pedido cuatro ocho dos uno tres"}),
    ("es", "cobran 12,50 €", {"cobran doce con cincuenta", "cobran doce euros con cincuenta"}),
    ("es", "1,99 €", {"uno con noventa y nueve", "un euro con noventa y nueve"}),
    ("es", "21 € por 20 GB", {"veintiún euros por veinte gigas"}),
    ("de", "Bestellung 48213", {f"bestellung vier acht {two} eins drei" for two in ("zwei", "zwo")}),
    ("de", "um 19,99 € am 15. Mai", {f"um neunzehn {e}neunundneunzig am fünfzehnten mai" for e in ("", "euro ")}),
    ("de", "iPhone 13. Seit", {"iphone dreizehn seit"}),
    ("de", "0,5 Mbit um 1 €", {"null komma fünf megabit um ein euro"}),
]


def said(text, language, seed=0, error_ratio=0.0):
    return transcribe(text, language, Random(seed), error_ratio=error_ratio)


@pytest.mark.parametrize(("language", "text", "expected"), SPOKEN)
def test_numbers_amounts_and_signs_are_spoken(language, text, expected):
    seen = {said(text, language, seed) for seed in range(200)}
    assert expected <= seen


@pytest.mark.parametrize("language", LANGUAGES)
@given(text=st.text(), seed=st.integers(0, 2**32), error_ratio=st.sampled_from([0.0, 0.3, 1.0]))
def test_any_text_becomes_small_words_without_marks_and_digits(language, text, seed, error_ratio):
    heard = transcribe(text, language, Random(seed), error_ratio=error_ratio)
    assert heard
    assert heard == heard.lower()
    assert not any(letter.isdecimal() or letter in ".,!?;:¿¡\n" for letter in heard)


@pytest.mark.parametrize("language", LANGUAGES)
@given(number=st.from_regex(r"[$€]?[0-9]{1,400}([.,][0-9]{1,3})?( ?€|th|º|\. a)?", fullmatch=True))
def test_any_number_can_be_spoken(language, number):
    assert not any(letter.isdecimal() for letter in said(number, language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_callers_hesitate_but_nothing_is_misheard_at_error_ratio_zero(language):
    words = said(TEXTS[language], language, seed=4)
    fillers = {word for filler in load_phrasebook(language).voice.fillers for word in filler.lower().split()}
    plain = set(words.split()) - fillers
    for seed in range(300):
        assert set(said(TEXTS[language], language, seed).split()) <= plain | fillers
    assert len({said(TEXTS[language], language, seed) for seed in range(300)}) > 50


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_word_error_rate_grows_with_the_error_ratio(language):
    rates = []
    for error_ratio in (0.0, 0.05, 0.1, 0.2, 0.4):
        errors = words = 0
        for seed in range(400):
            right = said(TEXTS[language], language, seed).split()
            heard = said(TEXTS[language], language, seed, error_ratio).split()
            errors += Levenshtein.distance(right, heard)
            words += len(right)
        rates.append(errors / words)
        assert rates[-1] == pytest.approx(error_ratio, rel=0.3)
    assert rates == sorted(rates)


@pytest.mark.parametrize("language", LANGUAGES)
def test_equal_seeds_are_heard_equally(language):
    assert [said(TEXTS[language], language, n, 0.2) for n in range(50)] == [
        said(TEXTS[language], language, n, 0.2) for n in range(50)
    ]
