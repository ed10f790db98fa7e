"""A test that needs a service says so, and CI does not take its absence for success."""

from __future__ import annotations

import socket

import pytest


@pytest.fixture
def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]  # bound but not listening: connections are refused


def test_an_absent_service_skips_the_test(requires_service, monkeypatch, closed_port):
    monkeypatch.delenv("HEADSET_REQUIRE_SERVICES", raising=False)
    monkeypatch.setenv("HEADSET_REDIS_URL", f"redis://127.0.0.1:{closed_port}")
    with pytest.raises(pytest.skip.Exception, match="HEADSET_REDIS_URL"):
        requires_service("redis")


def test_an_absent_service_fails_the_test_where_services_are_required(requires_service, monkeypatch, closed_port):
    monkeypatch.setenv("HEADSET_REQUIRE_SERVICES", "1")
    monkeypatch.setenv("HEADSET_REDIS_URL", f"redis://127.0.0.1:{closed_port}")
    with pytest.raises(pytest.fail.Exception, match="does not answer"):
        requires_service("redis")


def test_a_present_service_gives_its_url(requires_service, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"nats://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("HEADSET_NATS_URL", url)
        assert requires_service("nats") == url
