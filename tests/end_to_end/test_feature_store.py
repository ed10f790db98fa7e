"""Features in the real processes: fresh, the same after a kill, and true by the worker's own count."""

from __future__ import annotations

import os
import time

import pytest
from redis import Redis

pytestmark = pytest.mark.slow


def say(client, conversation, text, **fields):
    answer = client.post(f"/v1/conversations/{conversation}/turns", json={"text": text, **fields})
    return answer.raise_for_status().json()


def values(client, entity, key):
    told = client.get(f"/v1/features/{entity}/{key}?vectors=true").raise_for_status().json()
    return {name: told[name] for name in ("position", "unknown", "values")}


def await_values(client, entity, key, wanted, seconds=20):
    deadline = time.monotonic() + seconds
    found = None
    while time.monotonic() < deadline:
        answer = client.get(f"/v1/features/{entity}/{key}")
        if answer.status_code != 503:  # they are being folded after a start
            found = answer.raise_for_status().json()
            if wanted(found["values"]):
                return values(client, entity, key)
        time.sleep(0.05)
    pytest.fail(f"{entity} {key} has {found}")


def fill(client):
    for number in range(12):
        fields = {"customer_id": f"customer-{number % 3}", "queue": "billing", "attributes": {"region": "north"}}
        say(client, f"c-{number}", "my bill is wrong and I am very angry", **fields)
        say(client, f"c-{number}", "thank you, that is great")


def test_values_are_fresh_and_after_a_kill_the_same(start, tmp_path):
    server = start()
    with server.client() as client:
        fill(client)
        asked = [("conversation", "c-7"), ("customer", "customer-1"), ("queue", "billing")]
        await_values(client, "conversation", "c-11", lambda found: found["turns.total"] == 2)
        before = [values(client, *each) for each in asked]
        assert before[1]["values"]["visits.count_1d"] == 4
        assert before[2]["values"]["volume.count_1h"] == 12
    server.kill()
    again = start()
    with again.client() as client:
        await_values(client, "conversation", "c-11", lambda found: found["turns.total"] == 2)
        after = [values(client, *each) for each in asked]
    stable = [{name: value for name, value in each["values"].items() if "15m" not in name} for each in before]
    for one, other in zip(stable, after, strict=True):
        assert one == {name: other["values"][name] for name in one}


def test_the_worker_keeps_the_state_and_finds_every_decision_true(start, home):
    server = start("up")
    with server.client() as client:
        fill(client)
        await_values(client, "conversation", "c-11", lambda found: found["turns.total"] == 2)
    server.stop()
    assert (home / "projections" / "features.snapshot").stat().st_size > 0
    again = start("up")
    with again.client() as client:
        found = await_values(client, "conversation", "c-11", lambda found: found["turns.total"] == 2)
        assert "turns" not in found["unknown"]


def test_a_server_goes_on_without_its_redis(start, home):
    with (home / "headset.toml").open("a", encoding="utf-8") as file:
        file.write('[features]\nstore = "redis://127.0.0.1:1/0"\n')
    server = start("up")
    with server.client() as client:
        decision = say(client, "c-1", "my bill is wrong")
        assert decision["model_version"] == "1"
        deadline, told = time.monotonic() + 20, ""
        while "127.0.0.1" not in told and time.monotonic() < deadline:
            refused = client.get("/v1/features/conversation/c-1")
            assert refused.status_code == 503
            told = refused.json()["detail"]
        assert "127.0.0.1" in told


def test_servers_share_values_over_redis(start, home, requires_service):
    url = requires_service("redis")
    prefix = f"test-{os.urandom(6).hex()}"
    with (home / "headset.toml").open("a", encoding="utf-8") as file:
        file.write(f'[features]\nstore = "{url}"\nprefix = "{prefix}"\n')
    server = start("up")
    try:
        with server.client() as client:
            fill(client)
            found = await_values(client, "conversation", "c-11", lambda found: found["turns.total"] == 2)
            assert found["position"] > 0
            assert values(client, "customer", "customer-1")["values"]["visits.count_1d"] == 4
        server.kill()
        again = start("up")
        with again.client() as client:
            say(client, "c-12", "one more", customer_id="customer-1")
            await_values(client, "customer", "customer-1", lambda found: found["visits.count_1d"] == 5)
        again.stop()
    finally:
        with Redis.from_url(url) as redis:
            for key in redis.scan_iter(f"{prefix}*"):
                redis.unlink(key)
