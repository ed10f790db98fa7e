from __future__ import annotations

import re
from random import Random
from statistics import median

import pytest

from headset.twin.email import write_answer, write_email
from headset.twin.phrasebook import LANGUAGES, load_phrasebook

SUBJECTS = {"en": "Subject: ", "es": "Asunto: ", "de": "Betreff: "}
QUESTIONS = {
    "en": ["I moved", "how do I change my address"],
    "es": ["me he mudado", "cómo cambio la dirección"],
    "de": ["ich bin umgezogen", "wie ändere ich meine Adresse"],
}


def many(language, count=1_000, group="account"):
    return [write_email(QUESTIONS[language], language, Random(seed), group=group) for seed in range(count)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_most_have_a_subject_line_in_their_language(language):
    mails = many(language)
    subjects = [mail for mail in mails if mail.startswith(SUBJECTS[language])]
    assert 0.8 <= len(subjects) / len(mails) <= 0.97


@pytest.mark.parametrize("language", LANGUAGES)
def test_many_are_signed_with_a_name_and_some_are_one_line(language):
    mails, names = many(language), load_phrasebook(language).email.names
    assert 0.7 <= sum(any(name in mail for name in names) for mail in mails) / len(mails) <= 0.9
    short = [mail for mail in mails if len(re.sub(r"^\w+: .*", "", mail).split()) < 14]
    assert 0.05 <= len(short) / len(mails) <= 0.2


@pytest.mark.parametrize("language", LANGUAGES)
def test_most_are_thirty_to_a_hundred_and_twenty_words_long(language):
    lengths = [len(mail.split()) for mail in many(language)]
    assert 35 <= median(lengths) <= 60
    assert max(lengths) <= 120


@pytest.mark.parametrize("language", LANGUAGES)
def test_references_have_five_to_seven_digits(language):
    numbers = [number for mail in many(language) for number in re.findall(r"\b\d{5,}\b", mail)]
    assert len(numbers) > 400
    assert {len(number) for number in numbers} == {5, 6, 7}


@pytest.mark.parametrize("language", LANGUAGES)
def test_equal_seeds_give_equal_mails_and_others_differ(language):
    assert many(language, 100) == many(language, 100)
    assert len(set(many(language))) > 950


def test_german_goes_on_small_after_the_greeting():
    found = [re.search(r",\n+(ich|Ich) ", mail) for mail in many("de")]
    assert {match[1] for match in found if match} == {"ich"}


def test_without_a_group_the_question_gives_the_subject():
    mails = [write_email(["my card was charged twice in the shop"], "en", Random(seed)) for seed in range(50)]
    assert all(mail.startswith("Subject: my card was charged twice in\n") for mail in mails if "Subject" in mail)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_answer_is_short_and_keeps_what_is_said(language):
    for seed in range(200):
        mail = write_answer("ok, 12", language, Random(seed))
        assert "Ok, 12." in mail.splitlines()
        assert len(mail.split()) < 30
