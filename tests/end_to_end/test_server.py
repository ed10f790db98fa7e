"""The real server over real HTTP: decisions, restarts, and a kill in the middle of the work."""

from __future__ import annotations

import json
import threading
import time

import httpx
import pytest

from headset.app import open_installation
from headset.app.training import train_intent
from headset.core.config import load_config
from headset.events.schema import Actor, DecisionServed, TurnReceived
from headset.training.recipe import IntentRequest

pytestmark = pytest.mark.slow


def test_a_turn_is_decided_corrected_and_counted(start, headset):
    server = start()
    with server.client() as client:
        text = {"text": "my phone was stolen, please block the sim card"}
        decision = client.post("/v1/conversations/a/turns", json=text).raise_for_status().json()
        assert decision["model_version"] == "1"
        assert 0 < decision["confidence"] <= 1
        wrong = {"action": "overridden", "agent_id": "ana", "intent": "never_heard_of"}
        client.post(f"/v1/decisions/{decision['decision_id']}/feedback", json=wrong).raise_for_status()
        client.post("/v1/conversations/a/outcome", json={"resolution": "resolved", "csat": 5}).raise_for_status()
        (over_http,) = client.get("/v1/kpis").raise_for_status().json()["models"]
    assert (over_http["decisions"], over_http["accuracy"]["value"]) == (1, 0.0)
    printed = headset("monitor", "--json")
    assert printed.returncode == 0, printed.stderr
    assert '"decisions":1' in printed.stdout


def test_a_restarted_server_knows_its_conversations(start, home, free_port):
    first = start()
    with first.client() as client:
        client.post(
            "/v1/conversations/a/turns", json={"text": "let me talk to a human", "turn_id": "1"}
        ).raise_for_status()
    first.stop()
    with start().client() as client:
        again = client.post("/v1/conversations/a/turns", json={"text": "let me talk to a human", "turn_id": "1"})
        assert again.status_code == 409
        more = client.post("/v1/conversations/a/turns", json={"text": "hello?"}).raise_for_status().json()
        assert (more["position"], more["reason"]) == (1, "with_human")


def test_no_answered_turn_is_lost_when_the_server_is_killed(start, home):
    server = start()
    answered, lock, stop = {}, threading.Lock(), threading.Event()

    def ask(number):
        with server.client() as client:
            for count in range(10_000):
                if stop.is_set():
                    return
                conversation = f"k-{number}-{count}"
                try:
                    answer = client.post(f"/v1/conversations/{conversation}/turns", json={"text": "where is my refund"})
                except httpx.TransportError:
                    return
                with lock:
                    answered[conversation] = answer.json()["decision_id"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    while len(answered) < 200 and any(thread.is_alive() for thread in threads):
        time.sleep(0.01)
    server.kill()
    stop.set()
    for thread in threads:
        thread.join(30)
    assert len(answered) >= 200
    with open_installation(load_config(home, {})) as parts:
        for conversation, decision_id in answered.items():
            records = parts.log.conversation(conversation)
            (turn,) = [r.event for r in records if isinstance(r.event.payload, TurnReceived)]
            (decision,) = [r.event for r in records if isinstance(r.event.payload, DecisionServed)]
            assert parts.vault.open(turn.subject, turn.payload.text) == "where is my refund"
            assert decision.payload.decision_id == decision_id


def test_a_stopped_server_finishes_what_it_began(start, home):
    server = start()
    codes = []

    def ask(number):
        with server.client() as client:
            for count in range(1_000):
                try:
                    answer = client.post(f"/v1/conversations/d-{number}-{count}/turns", json={"text": "hello"})
                except httpx.TransportError:
                    return
                codes.append(answer.status_code)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    while len(codes) < 50 and any(thread.is_alive() for thread in threads):
        time.sleep(0.01)
    server.stop()
    for thread in threads:
        thread.join(30)
    assert server.process.returncode == 0
    assert len(codes) >= 50
    assert set(codes) == {201}
    with open_installation(load_config(home, {})) as parts:
        kept = [r for r in parts.log.read(limit=100_000, source="api") if isinstance(r.event.payload, DecisionServed)]
    assert len(kept) >= len(codes)


def test_the_metrics_and_the_schema_can_be_read(start):
    server = start()
    with server.client() as client:
        client.post("/v1/conversations/m/turns", json={"text": "hello"}).raise_for_status()
        metrics = client.get("/metrics").text
        assert "headset_decisions_total{" in metrics
        assert "headset_decision_seconds_bucket" in metrics
        schema = client.get("/schema/openapi.json").json()
        assert "/v1/conversations/{conversation_id}/turns" in schema["paths"]


def test_a_new_champion_serves_without_a_restart(start, home, crown):
    server = start()
    with open_installation(load_config(home, {})) as parts:
        first = parts.registry.get("intent", "1")
        second = parts.registry.register(first.made, parts.registry.artifact("intent", "1"))
        with server.client() as client:
            assert [model["version"] for model in client.get("/v1/models").json()["models"]] == ["2", "1"]
            assert client.get("/readyz").json()["model_version"] == "1"
            crown(parts.registry, second.version)
            deadline = time.monotonic() + 20
            while client.get("/readyz").json()["model_version"] != "2" and time.monotonic() < deadline:
                time.sleep(0.1)
            answer = client.post("/v1/conversations/z/turns", json={"text": "hello"})
    assert answer.json()["model_version"] == "2"


def test_a_version_in_shadow_answers_beside_the_champion(home, start, headset):
    with open_installation(load_config(home, {})) as parts:
        request = IntentRequest(dataset="starter", seed=4, target_precision=0.9)
        second = train_intent(parts, request, progress=lambda _phase, _fraction: None).version
        parts.registry.promote("intent", second, "shadow", by=Actor("ann"), reason="a second seed")
    server = start()
    with server.client() as client:
        deadline = time.monotonic() + 60
        while 'headset_shadow_decisions_total{agrees="True",model_version="2"}' not in client.get("/metrics").text:
            assert time.monotonic() < deadline
            answer = client.post("/v1/conversations/one/turns", json={"text": "where is my parcel"})
            assert answer.json()["model_version"] == "1"
            time.sleep(0.2)
    server.stop()
    reports = json.loads(headset("monitor", "--json").stdout)["models"]
    assert {(each["model_version"], each["shadow"]) for each in reports} == {("1", False), ("2", True)}
