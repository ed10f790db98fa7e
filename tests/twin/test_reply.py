"""An agent accepts, edits or writes; and what is edited for ever stays short."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.twin.customer import Customer
from headset.twin.reply import choose_reply
from headset.twin.scenario import read_scenario
from headset.twin.script import Script
from headset.twin.stage import Contact, Decision
from headset.twin.world import make_world

SCENARIO = read_scenario("quiet_week")
SCRIPT = Script(SCENARIO, make_world(SCENARIO).utterances)
SENTENCES = st.lists(st.sampled_from(["It is on its way.", "Sorry!", "Is it off?", "Bills come monthly."]), min_size=1)


def contact_of(seed="7"):
    return Contact("c-1", Customer("twin-1", "en", {}, 0), "roaming", "chat", 0.0, seed)


def choose(action, suggestions, seed="7"):
    decision = Decision("d", "roaming", "human", suggested=bool(suggestions), suggestions=suggestions)
    return choose_reply(SCRIPT, contact_of(seed), decision, action, "How much is it?")


def test_who_accepts_sends_the_first_suggestion():
    assert choose("accepted", ("One.", "Two.")) == ("One.", False)


def test_who_edits_adds_a_sentence():
    text, own = choose("edited", ("One.", "Two."))
    assert text == f"One. {SCRIPT.addition(contact_of())}"
    assert not own


@pytest.mark.parametrize(
    ("action", "suggestions"),
    [("overridden", ("One.",)), ("rejected", ("One.",)), ("ignored", ("One.",)), ("accepted", ()), ("edited", ())],
)
def test_who_uses_no_suggestion_says_their_own_words(action, suggestions):
    own_words = SCRIPT.answer(contact_of(), "reply", "How much is it?", "roaming")
    assert choose(action, suggestions) == (own_words, True)


@given(SENTENCES, st.integers(0, 50))
def test_an_edited_reply_differs_and_does_not_grow_for_ever(sentences, seed):
    reply, longest = " ".join(sentences), len(" ".join(sentences))
    for edit in range(12):
        edited, _ = choose("edited", (reply,), f"{seed}:{edit}")
        assert edited != reply
        reply = edited
        assert len(reply) <= longest + 200
