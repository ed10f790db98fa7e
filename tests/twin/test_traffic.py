"""Simulated customers and agents: patient with a busy server, honest about what was right."""

from __future__ import annotations

import json
import random

import httpx
import pytest

from headset.core.errors import StorageFailed
from headset.twin.starter import starter_intents
from headset.twin.traffic import Desk, trickle


def client_of(answer):
    return httpx.Client(base_url="http://twin", transport=httpx.MockTransport(answer))


def test_a_busy_server_is_asked_again():
    codes = iter([503, 503, 201])
    waited = []
    with client_of(lambda _: httpx.Response(next(codes), json={"ok": 1})) as client:
        assert Desk(client, waited.append).post("/x") == {"ok": 1}
    assert waited == [0.2, 0.4]


@pytest.mark.parametrize("code", [401, 422])
def test_a_refusal_is_not_repeated(code):
    asked = []
    client = client_of(lambda request: asked.append(request) or httpx.Response(code, text="no"))
    with client, pytest.raises(StorageFailed, match="no"):
        Desk(client, lambda _: False).post("/x")
    assert len(asked) == 1


@pytest.fixture
def server():
    """Answers every turn with the same intent; remembers what was posted."""
    posted = []

    def answer(request):
        body = json.loads(request.content)
        posted.append((request.url.path, body))
        return httpx.Response(
            201, json={"decision_id": "d", "intent": answer.intent, "route": answer.route, "suggestions": ["One."]}
        )

    answer.posted, answer.intent, answer.route = posted, starter_intents()[0], "bot"
    return answer


def run(server, conversations):
    left = iter([False] * conversations)
    with client_of(server) as client:
        return trickle(client, random.Random(1), per_second=1000, run="r", wait=lambda _: next(left, True))


def test_a_customer_the_bot_misunderstands_reaches_a_person_who_says_what_was_right(server):
    server.intent = "never_heard_of"
    tally = run(server, 5)
    assert (tally.conversations, tally.correct, tally.handed_off) == (5, 0, 5)
    told = [body for path, body in server.posted if path.endswith("/feedback")]
    assert [body["action"] for body in told] == ["overridden"] * 5
    assert {body["intent"] for body in told} <= set(starter_intents())


def test_every_conversation_ends_with_an_outcome(server):
    run(server, 30)
    outcomes = [body for path, body in server.posted if path.endswith("/outcome")]
    assert len(outcomes) == 30
    assert {body["resolution"] for body in outcomes} == {"resolved", "unresolved"}
