"""What agents and customers say afterwards reaches the decision it is about, or is refused by name."""

from __future__ import annotations

import pytest

from headset.core.clock import iso
from headset.core.ids import stable_id
from headset.serving.replies import Suggestion

from .conftest import says
from .test_refusal import refused


@pytest.fixture
def decision(say, predictor):
    """A decision of a handed-off conversation with two suggestions."""
    suggestions = []
    for turn_id, text in (("a", "We sent it today."), ("b", "Please wait a week.")):
        say(text, conversation="earlier", speaker="agent", turn_id=turn_id)
        suggestions.append(Suggestion(stable_id("turn", "earlier", turn_id), text))
    predictor.answer = lambda _: says(confidence=0.2, suggestions=suggestions)
    return say().json()


@pytest.fixture
def tell(client, decision):
    def post(what="feedback", decision_id=None, **fields):
        return client.post(f"/v1/decisions/{decision_id or decision['decision_id']}/{what}", json=fields)

    return post


def test_an_override_with_the_right_intent_is_kept(tell, client):
    assert tell(action="overridden", agent_id="ana", intent="card_lost").status_code == 201
    (turn,) = client.get("/v1/conversations/c-1").json()["turns"]
    assert (turn["decision"]["feedback"], turn["decision"]["correct_intent"]) == ("overridden", "card_lost")


def test_an_override_needs_another_intent(tell):
    refused(tell(action="overridden", agent_id="ana"), 422, "intent")
    refused(tell(action="overridden", agent_id="ana", intent="refund"), 422, "intent")


def test_an_edit_is_measured_against_the_nearest_suggestion(tell, parts):
    assert tell(action="edited", agent_id="ana", reply="We sent it today!").status_code == 201
    payload = parts.log.read(limit=100)[-1].event.payload
    assert payload.edit_distance == pytest.approx(1 / 17)


def test_an_edit_needs_the_reply(tell):
    refused(tell(action="edited", agent_id="ana"), 422, "reply")


def test_feedback_on_an_unknown_decision_is_refused(tell):
    refused(
        tell(decision_id="0198f0a0-0000-7000-8000-000000000000", action="ignored", agent_id="ana"), 404, "decision_id"
    )
    refused(tell(decision_id="nonsense", action="ignored", agent_id="ana"), 422, "decision_id")


def test_feedback_naming_another_conversation_is_refused(tell):
    refused(tell(action="accepted", agent_id="ana", conversation_id="c-2"), 409, "conversation_id")


def test_feedback_of_an_agent_who_does_not_have_the_conversation_is_refused(tell, client):
    assert client.post("/v1/conversations/c-1/handoff/accept", json={"agent_id": "ana"}).status_code == 201
    refused(tell(action="accepted", agent_id="ben"), 409, "agent_id")
    assert tell(action="accepted", agent_id="ana").status_code == 201


def test_a_handoff_is_taken_once(client, decision):
    accept = "/v1/conversations/c-1/handoff/accept"
    assert client.post(accept, json={"agent_id": "ana"}).status_code == 201
    assert client.post(accept, json={"agent_id": "ana"}).status_code == 201
    refused(client.post(accept, json={"agent_id": "ben"}), 409, "agent_id")


def test_a_conversation_the_bot_has_cannot_be_taken(say, client):
    say(conversation="c-9")
    refused(client.post("/v1/conversations/c-9/handoff/accept", json={"agent_id": "ana"}), 409, "conversation_id")


def test_an_outcome_may_come_in_parts(client, decision):
    outcome = "/v1/conversations/c-1/outcome"
    assert client.post(outcome, json={"resolution": "resolved", "handle_time_s": 120}).status_code == 201
    assert client.post(outcome, json={"csat": 4}).status_code == 201
    told = client.get("/v1/conversations/c-1").json()
    assert told["outcome"] == {"resolution": "resolved", "handle_time_s": 120.0, "csat": 4.0}


def test_an_empty_or_impossible_outcome_is_refused(client, decision):
    outcome = "/v1/conversations/c-1/outcome"
    refused(client.post(outcome, json={}), 422, "resolution")
    refused(client.post(outcome, json={"csat": 9}), 422, "csat")
    refused(client.post(outcome, json={"csat": 5, "event_time": "2001-01-01T00:00:00Z"}), 422, "event_time")


def test_suggestions_can_be_shown_only_where_there_are_some(tell, say, client, predictor):
    assert tell("shown", agent_id="ana").status_code == 201
    predictor.answer = lambda _: says()
    bare = say(conversation="c-5").json()["decision_id"]
    refused(client.post(f"/v1/decisions/{bare}/shown", json={"agent_id": "ana"}), 409, "decision_id")


def test_the_kpis_follow_the_feedback(tell, client):
    tell("shown", agent_id="ana")
    tell(action="overridden", agent_id="ana", intent="card_lost")
    (model,) = client.get("/v1/kpis").json()["models"]
    assert (model["model_version"], model["decisions"]) == ("1", 1)
    assert (model["override"]["count"], model["override"]["of"]) == (1, 1)
    assert (model["accuracy"]["value"], model["accuracy"]["of"]) == (0.0, 1)
    assert (model["acceptance"]["count"], model["acceptance"]["of"]) == (0, 1)


def test_a_suggestion_goes_with_the_subject_whose_words_it_is(tell, client, parts, decision):
    assert client.get("/v1/conversations/c-1").json()["turns"][0]["decision"]["suggestions"] == decision["suggestions"]
    parts.vault.destroy("conversation:earlier")
    assert client.get("/v1/conversations/c-1").json()["turns"][0]["decision"]["suggestions"] == []
    refused(tell(action="edited", agent_id="ana", reply="We sent it today!"), 409, "action")


def test_feedback_reaches_its_decision_however_the_id_is_written(tell, client, decision):
    assert tell(decision_id=decision["decision_id"].upper(), action="rejected", agent_id="ana").status_code == 201
    assert client.get("/v1/conversations/c-1").json()["turns"][0]["decision"]["feedback"] == "rejected"


def test_accepting_and_naming_another_intent_is_refused(tell):
    refused(tell(action="accepted", agent_id="ana", intent="card_lost"), 422, "intent")


def test_what_a_failed_model_said_cannot_be_accepted(say, tell, predictor):
    predictor.answer = lambda _: 1 / 0
    degraded = say(conversation="c-8").json()["decision_id"]
    refused(tell(decision_id=degraded, action="accepted", agent_id="ana"), 409, "action")
    assert tell(decision_id=degraded, action="overridden", agent_id="ana", intent="refund").status_code == 201


def test_an_intent_that_is_a_card_number_is_refused(tell):
    refused(tell(action="overridden", agent_id="ana", intent="4111 1111 1111 1111"), 422, "intent")


def test_an_agents_clock_may_differ_a_little(tell, parts):
    earlier = iso(parts.clock.now() - 30_000_000)
    assert tell(action="ignored", agent_id="ana", event_time=earlier).status_code == 201
