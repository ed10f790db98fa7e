"""Sentiment is bounded, signed, and never fails on a customer's text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.features.sentiment import Sentiment


@pytest.fixture(scope="module")
def sentiment():
    return Sentiment()


@given(text=st.text())
def test_every_text_has_a_score_between_the_bounds(sentiment, text):
    assert -1 <= sentiment.score(text) <= 1


def test_anger_is_negative_and_thanks_are_positive(sentiment):
    assert sentiment.score("This is the worst service ever, I am furious!") < -0.5
    assert sentiment.score("Brilliant, thank you so much!") > 0.5
    assert sentiment.score("The letter is on the table.") == 0


def test_a_long_text_is_scored_by_its_end(sentiment):
    assert sentiment.score("great " * 5_000 + "." * 2_000) == 0


def test_a_crowd_of_emojis_says_no_more_than_its_last_twenty(sentiment):
    assert sentiment.score("😀" * 2_000) == sentiment.score("😀" * 20)
    assert sentiment.score("ok" + "😡" * 30 + "😀" * 20) == sentiment.score("ok" + "😀" * 20)


def test_of_a_long_text_the_last_words_count(sentiment):
    assert sentiment.score("a " * 5_000 + "terrible") == sentiment.score("a " * 299 + "terrible")
