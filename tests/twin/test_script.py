"""The words that people are given for what they do."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from headset.twin.customer import Customer
from headset.twin.scenario import Change
from headset.twin.script import Script
from headset.twin.stage import Contact
from headset.twin.utterance import PhrasebookUtterances

START = datetime(2026, 3, 2)  # noqa: DTZ001 - the centre's own clock
DAY_S = 86_400.0


def contact(number=1, intent="roaming", language="en", channel="chat"):
    return Contact(f"c-{number}", Customer("ana", language, {}, 0), intent, channel, 0.0, "1")


@pytest.fixture
def script(small):
    return Script(small(), PhrasebookUtterances())


@pytest.fixture
def renaming(small):
    """From the second day to the fourth, "bill" comes to be called "statement"."""
    change = Change(
        name="new word",
        start=START + timedelta(days=1),
        end=START + timedelta(days=3),
        words={"bill": "statement", "charge": "levy"},
    )
    return Script(small(changes=[change]), PhrasebookUtterances())


@pytest.mark.parametrize("request_", ["ask", "retry", "person", "thanks", "agreement", "question", "complaint"])
@pytest.mark.parametrize("language", ["en", "es", "de"])
@pytest.mark.parametrize("channel", ["chat", "voice", "email"])
def test_there_are_words_for_every_request_in_every_language_and_channel(script, request_, language, channel):
    assert script.request(contact(language=language, channel=channel), request_, 0.0).strip()


@pytest.mark.parametrize("answer", ["reply", "confirmation", "apology", "transfer"])
@pytest.mark.parametrize("language", ["en", "es", "de"])
def test_there_are_words_for_every_answer_in_every_language(script, answer, language):
    one = contact(language=language)
    assert script.answer(one, answer, script.request(one, "ask", 0.0), "bill_dispute").strip()


def test_equal_contacts_say_the_same_and_others_do_not(script):
    said = [[script.request(contact(number), "ask", 0.0) for number in range(20)] for _ in range(2)]
    assert said[0] == said[1]
    assert len(set(said[0])) > 10


def test_whoever_asks_again_uses_other_words(script):
    pairs = []
    for number in range(50):
        one = contact(number)
        pairs.append((script.request(one, "ask", 0.0), script.request(one, "retry", 0.0)))
    assert sum(first != second for first, second in pairs) > 45


def test_what_is_said_does_not_change_what_is_done(script):
    silent, talkative = contact(), contact()
    script.request(talkative, "ask", 0.0)
    script.answer(talkative, "reply", "", "roaming")
    assert silent.random.random() == talkative.random.random()


def test_words_change_between_the_start_and_the_end_of_a_change(renaming):
    def shares(day):
        texts = [renaming.request(contact(number, "bill_dispute"), "ask", day * DAY_S) for number in range(400)]
        old = sum("bill" in text.lower() or "charge" in text.lower() for text in texts)
        new = sum("statement" in text.lower() or "lev" in text.lower() for text in texts)
        return old, new

    before, middle, after = shares(0.5), shares(2), shares(30)
    assert before[0] > middle[0] > after[0]
    assert before[1] < middle[1] < after[1]
    assert middle[1] - before[1] == pytest.approx((after[1] - before[1]) / 2, rel=0.3)


def test_without_a_change_of_words_the_time_does_not_matter(script):
    assert script.request(contact(), "ask", 0.0) == script.request(contact(), "ask", 1e8)


def test_an_addition_is_a_sentence_in_the_customers_language(script):
    assert script.addition(contact(language="de")) != script.addition(contact(language="en"))
