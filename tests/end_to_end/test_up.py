"""``headset up --twin``: one command, and a living contact centre."""

from __future__ import annotations

import json
import time

import pytest

pytestmark = pytest.mark.slow


def test_up_shows_life_and_ends_all_its_processes(start, headset, home):
    server = start("up", "--twin")
    with server.client() as client:
        deadline, told = time.monotonic() + 60, {"decisions": 0}
        while time.monotonic() < deadline and (told["decisions"] < 5 or told["containment"]["of"] < 3):
            time.sleep(0.2)
            told = next(iter(client.get("/v1/kpis").raise_for_status().json()["models"]), told)
    assert told["decisions"] >= 5
    assert told["containment"]["of"] >= 3
    printed = server.stop()
    assert server.process.returncode == 0, printed
    assert "curl" in printed
    assert "Traceback" not in printed
    (again,) = json.loads(headset("monitor", "--json").stdout)["models"]
    assert again["decisions"] >= told["decisions"]
