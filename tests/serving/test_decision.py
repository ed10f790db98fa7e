"""A customer turn in, a decision out, everything about it in the log."""

from __future__ import annotations

import asyncio
import time

import pytest
from msgspec import structs

from headset.core.errors import StorageFull
from headset.events.schema import ConversationStarted, DecisionServed, HandoffRequested, TurnReceived
from headset.serving.request import TurnRequest

from .conftest import HashEncoder, says


def of_type(parts, kind):
    return [record.event for record in parts.log.read(limit=10_000) if isinstance(record.event.payload, kind)]


def test_a_confident_turn_goes_to_the_bot(say):
    answer = say()
    assert answer.status_code == 201
    decision = answer.json()
    assert (decision["route"], decision["reason"]) == ("bot", "confident")
    assert (decision["intent"], decision["model_version"], decision["arm"]) == ("refund", "1", "champion")
    assert decision["handoff"] is None
    assert decision["degraded"] is False


@pytest.mark.parametrize(
    ("prediction", "text", "reason"),
    [
        (says(confidence=0.5), "hm", "low_confidence"),
        (says(sentiment=-0.9), "this is awful", "sentiment"),
        (says(), "let me talk to a human", "asked_for_human"),
        (says(intent="close_account"), "close my account", "not_automated"),
    ],
)
def test_a_turn_goes_to_a_person_with_the_reason(say, predictor, prediction, text, reason):
    predictor.answer = lambda _: prediction
    decision = say(text).json()
    assert (decision["route"], decision["reason"]) == ("human", reason)
    assert decision["handoff"]["reason"] == reason
    assert text in decision["handoff"]["summary"]


def test_what_was_answered_is_what_the_log_says(say, parts):
    decision = say().json()
    (event,) = of_type(parts, DecisionServed)
    assert str(event.event_id) == decision["decision_id"] == event.payload.decision_id
    assert event.payload.intent == decision["intent"]
    assert event.payload.feature_hash == decision["feature_hash"] != ""
    assert event.conversation_id == "c-1"


def test_a_handoff_happens_once_and_tells_what_was_tried(say, predictor, parts):
    say("where is my refund")
    predictor.answer = lambda _: says(confidence=0.1)
    first = say("no not that").json()
    second = say("hello?").json()
    assert first["handoff"]["steps_tried"] == ["answered refund at turn 1"]
    assert second["handoff"] is None
    assert second["reason"] == "with_human"
    assert len(of_type(parts, HandoffRequested)) == 1


def test_a_model_that_raises_costs_a_degraded_decision_and_no_error(say, predictor):
    def broken(_):
        raise ZeroDivisionError

    predictor.answer = broken
    answer = say()
    assert answer.status_code == 201
    decision = answer.json()
    assert (decision["degraded"], decision["route"], decision["reason"]) == (True, "human", "model_error")
    assert "ZeroDivisionError" in decision["error"]
    assert decision["handoff"] is not None


def test_a_model_that_stalls_costs_a_degraded_decision_and_the_next_turn_is_served(say, predictor):
    def stalled(_):
        time.sleep(1.0)
        return says()

    predictor.answer = stalled
    assert say().json()["degraded"] is True
    predictor.answer = lambda _: says()
    assert say("again").json()["degraded"] is False


def test_personal_numbers_never_reach_the_model_or_the_disk(say, predictor, parts, config):
    seen = []
    predictor.answer = lambda text: seen.append(text) or says(confidence=0.1)
    say("my card is 4111 1111 1111 1111 and my mail ann@example.org", customer_id="c77")
    assert seen == ["my card is [card] and my mail [email]"]
    parts.log.append([])
    for file in config.home.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert b"4111 1111" not in data, file
            assert b"ann@example" not in data, file
            assert b"my card is" not in data, file


def test_agent_turns_are_kept_and_nothing_is_decided(say, parts):
    say()
    kept = say("We sent it today.", speaker="agent", speaker_id="ana")
    assert kept.json() == {"conversation_id": "c-1", "turn_id": "2", "position": 1}
    assert [event.payload.speaker for event in of_type(parts, TurnReceived)] == ["customer", "agent"]
    assert len(of_type(parts, DecisionServed)) == 1


def test_a_conversation_goes_on_after_a_restart(say, parts, config, predictor, monkeypatch, anonymous):
    predictor.answer = lambda _: says(confidence=0.1)
    say("first")
    anonymous.app.state.service.decisions._conversations._held.clear()  # as a restart does
    again = say("second").json()
    assert (again["position"], again["reason"]) == (1, "with_human")
    assert say("first", turn_id="1").status_code == 409


@pytest.fixture
def service(anonymous, key):
    return anonymous.app.state.service


def all_at_once(anonymous, *makers):
    """Await what the makers make, together, on the service's own loop."""

    async def together():
        return await asyncio.gather(*(make() for make in makers), return_exceptions=True)

    return anonymous.blocking_portal.call(together)


def test_turns_of_one_conversation_sent_at_once_are_taken_one_after_another(anonymous, service, predictor, parts):
    predictor.answer = lambda _: says(confidence=0.1)
    asks = [lambda n=n: service.decisions.decide("c", TurnRequest(text=f"turn {n}")) for n in range(10)]
    answers = all_at_once(anonymous, *asks)
    assert sorted(answer.position for answer in answers) == list(range(10))
    assert len({answer.turn_id for answer in answers}) == 10
    assert sum(answer.handoff is not None for answer in answers) == 1
    assert len(of_type(parts, TurnReceived)) == 10
    assert len(of_type(parts, HandoffRequested)) == 1


def test_a_turn_that_could_not_be_kept_leaves_no_trace_and_loses_no_other(anonymous, service, predictor, parts):
    predictor.answer = lambda _: says(confidence=0.1)
    append, failing = service.decisions._append, iter([True, False, False, False])

    async def moody(events):
        if next(failing):
            raise StorageFull("no room")
        return await append(events)

    service.decisions._append = moody
    asks = [
        lambda n=n: service.decisions.decide("c", TurnRequest(text=f"turn {n}", customer_id="ann", channel="email"))
        for n in range(4)
    ]
    failed, *answers = all_at_once(anonymous, *asks)
    assert isinstance(failed, StorageFull)
    assert [answer.position for answer in answers] == [0, 1, 2]
    texts = [parts.vault.open(event.subject, event.payload.text) for event in of_type(parts, TurnReceived)]
    assert texts == ["turn 1", "turn 2", "turn 3"]
    (started,) = of_type(parts, ConversationStarted)
    assert started.payload.channel == "email"
    assert len(of_type(parts, HandoffRequested)) == 1


def test_own_turn_ids_and_given_ones_do_not_collide(say):
    assert say(turn_id="2").status_code == 201
    assert say().json()["turn_id"] == "3"
    assert say(turn_id="1").status_code == 201
    assert say().json()["turn_id"] == "4"


def test_erased_words_do_not_come_back_in_a_later_summary(say, predictor, parts):
    say("my name is Ada Lovelace")
    parts.vault.destroy("conversation:c-1")
    predictor.answer = lambda _: says(confidence=0.1)
    summary = say("hello?").json()["handoff"]["summary"]
    assert "Lovelace" not in summary
    assert "[erased]" in summary


def test_the_feature_hash_tells_texts_of_equal_length_apart(say, predictor):
    encode = HashEncoder().encode
    predictor.answer = lambda text: structs.replace(says(), feature_values={"embedding": encode([text])[0]})
    assert say("abcd", conversation="a").json()["feature_hash"] != say("wxyz", conversation="b").json()["feature_hash"]
