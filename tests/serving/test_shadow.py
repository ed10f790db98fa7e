"""A candidate in shadow answers what the champion answered, and serves nobody."""

from __future__ import annotations

import threading
import time

import pytest

from headset import process
from headset.events.schema import DecisionServed, DecisionShadowed

from .conftest import ScriptedPredictor, says


@pytest.fixture
def candidate():
    return ScriptedPredictor(answer=lambda _: says("bill_dispute", version="2"), model_version="2")


@pytest.fixture
def shadowed(parts, candidate, monkeypatch):
    """Put the candidate in shadow, as the upkeep would; ``shadowed.present = False`` takes it away."""

    class Switch:
        present = True

    monkeypatch.setattr(
        process, "shadow_predictor", lambda parts, model, current: candidate if Switch.present else None
    )
    return Switch


@pytest.fixture
def shadow(shadowed, client):
    found = client.app.state.service.shadows.named["intent"]
    found.refresh()
    return found


def of_type(parts, kind):
    return [record.event for record in parts.log.read(limit=10_000) if isinstance(record.event.payload, kind)]


def await_shadowed(parts, count):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = of_type(parts, DecisionShadowed)
        if len(found) >= count:
            return found
        time.sleep(0.01)
    pytest.fail(f"{len(of_type(parts, DecisionShadowed))} decisions were shadowed, not {count}")


def test_a_shadow_is_put_on_record_beside_the_decision_it_shadows(shadow, say, parts):
    decision = say().json()
    (event,) = await_shadowed(parts, 1)
    (served,) = of_type(parts, DecisionServed)
    assert (decision["intent"], decision["model_version"]) == ("refund", "1")
    assert event.payload.shadow_of == decision["decision_id"]
    assert (event.payload.intent, event.payload.model_version, event.payload.route) == ("bill_dispute", "2", "bot")
    assert (event.conversation_id, event.subject) == (served.conversation_id, served.subject)
    assert str(event.event_id) == event.payload.decision_id


def test_a_shadow_is_routed_as_it_would_have_been(shadow, say, parts, candidate):
    candidate.answer = lambda _: says("close_account", version="2")
    assert say().json()["route"] == "bot"
    assert await_shadowed(parts, 1)[0].payload.route == "human"
    candidate.answer = lambda _: says(version="2")
    assert say("let me talk to a human", "c-2").json()["route"] == "human"
    assert await_shadowed(parts, 2)[1].payload.route == "human"


def test_a_shadow_that_raises_is_put_on_record_and_disturbs_nobody(shadow, say, parts, candidate):
    def fail(_):
        raise RuntimeError

    candidate.answer = fail
    answer = say()
    assert answer.status_code == 201
    assert answer.json()["degraded"] is False
    (event,) = await_shadowed(parts, 1)
    assert (event.payload.intent, event.payload.route) == (None, "human")
    assert "RuntimeError" in event.payload.error


def test_a_shadow_that_stalls_delays_no_decision(shadow, say, parts, candidate):
    release = threading.Event()

    def stall(_):
        release.wait(20)
        return says(version="2")

    candidate.answer = stall
    try:
        assert [say(conversation=f"c-{number}").json()["intent"] for number in range(5)] == ["refund"] * 5
        assert not release.is_set()
        assert "no answer within" in await_shadowed(parts, 1)[0].payload.error
    finally:
        release.set()


def test_turns_a_shadow_has_no_time_for_pass_and_are_counted(shadow, client, say, parts, candidate, monkeypatch):
    monkeypatch.setattr(shadow._batcher, "_limits", shadow._batcher._limits._replace(waiting=0))
    assert say().status_code == 201
    deadline = time.monotonic() + 20
    while "headset_shadow_passed_turns_total 1.0" not in client.get("/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert of_type(parts, DecisionShadowed) == []


def test_the_metrics_say_how_often_a_shadow_agrees(shadow, client, say, parts, candidate):
    say()
    await_shadowed(parts, 1)
    candidate.answer = lambda _: says(version="2")
    say(conversation="c-2")
    await_shadowed(parts, 2)
    told = client.get("/metrics").text
    assert 'headset_shadow_decisions_total{agrees="False",model_version="2"} 1.0' in told
    assert 'headset_shadow_decisions_total{agrees="True",model_version="2"} 1.0' in told


def test_a_version_taken_out_of_shadow_answers_no_more(shadow, shadowed, say, parts):
    say()
    await_shadowed(parts, 1)
    shadowed.present = False
    shadow.refresh()
    assert shadow.version == ""
    say(conversation="c-2")
    assert len(of_type(parts, DecisionServed)) == 2
    assert len(of_type(parts, DecisionShadowed)) == 1
