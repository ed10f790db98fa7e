"""Who answers: a wish for a person is heard in three languages, and not where there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.core.config import DecisionConfig
from headset.serving.policy import asks_for_human, route_turn

share = st.floats(0, 1)


@pytest.mark.parametrize(
    "text",
    [
        "can I speak to a human?",
        "I want to talk to a real person",
        "Please connect me to an agent",
        "transfer me to your supervisor please",
        "get me a manager",
        "human please",
        "can i talk with someone",
        "quiero hablar con un agente",
        "páseme con una persona por favor",
        "Ich möchte mit einem Mitarbeiter sprechen",
        "kann ich bitte mit einem Menschen sprechen",
    ],
)
def test_a_wish_for_a_person_is_heard(text):
    assert asks_for_human(text)


@pytest.mark.parametrize(
    "text",
    [
        "where is my refund",
        "your agent told me to wait",
        "the person in the shop was nice",
        "I need a new card",
        "someone stole my phone",
        "quiero cambiar mi tarifa",
        "ich brauche eine neue Karte",
        "give me my money back",
        "I spoke to an agent yesterday and nothing happened",
    ],
)
def test_a_mere_mention_is_no_wish(text):
    assert not asks_for_human(text)


@given(confidence=share, threshold=share, sentiment=st.floats(-1, 1), at_risk=st.booleans())
def test_the_bot_answers_only_at_or_above_the_threshold_and_where_nothing_is_at_risk(
    confidence, threshold, sentiment, at_risk
):
    route, reason = route_turn(
        text="where is it",
        intent="x",
        confidence=confidence,
        threshold=threshold,
        sentiment=sentiment,
        handed_off=False,
        at_risk=at_risk,
        config=DecisionConfig(),
    )
    assert (route == "bot") == (confidence >= threshold and sentiment > -0.6 and not at_risk)
    assert (reason == "confident") == (route == "bot")


def test_only_listed_intents_are_automated_when_a_list_is_given():
    config = DecisionConfig(automate=("refund",))
    args = {
        "text": "x",
        "confidence": 1.0,
        "threshold": 0.5,
        "sentiment": 0.0,
        "handed_off": False,
        "at_risk": False,
        "config": config,
    }
    assert route_turn(intent="refund", **args).route == "bot"
    assert route_turn(intent="other", **args).reason == "not_automated"
