"""The command line: exit codes, JSON, and errors that say what to do."""

from __future__ import annotations

import json
import socket

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("import", "csv", "nowhere.csv", "--as", "x"), "nowhere.csv"),
        (("import", "nonsense", "nowhere.csv", "--as", "x"), "nonsense"),
        (("train", "intent", "--data", "nothing"), "nothing"),
        (("models", "show", "99"), "99"),
        (("keys", "create", "x", "--scope", "fly"), "fly"),
        (("keys", "revoke", "x"), "x"),
        (("monitor", "--hours", "-1"), "-1"),
        (("nonsense",), "nonsense"),
        (("monitor", "--nonsense"), "--nonsense"),
        (("serve", "--port", "99999"), "port"),
    ],
)
def test_misuse_exits_2_and_names_the_value(headset, arguments, named):
    plain = headset(*arguments)
    assert plain.returncode == 2, plain.stderr
    assert named in plain.stderr
    assert "Traceback" not in plain.stderr
    as_json = headset(*arguments, "--json")
    assert as_json.returncode == 2
    assert named in json.loads(as_json.stdout)["error"]


def test_a_taken_port_is_named(headset):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = headset("serve", "--port", port)
    assert told.returncode == 2
    assert port in told.stderr


def test_a_damaged_log_is_named_without_a_traceback(headset, home):
    (home / "log" / "events.db").write_bytes(b"this is no database, but it is long enough to look at" * 100)
    for leftover in (home / "log").glob("events.db-*"):
        leftover.unlink()
    told = headset("models", "list")
    assert told.returncode == 1
    assert "events.db" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_key_is_made_listed_and_revoked(headset):
    made = json.loads(headset("keys", "create", "desk", "--scope", "feedback", "--days", "1", "--json").stdout)
    assert made["key"].startswith("hs_")
    listed = headset("keys", "list", "--json").stdout
    assert made["key_id"] in listed
    assert made["key"] not in listed
    assert headset("keys", "revoke", made["key_id"]).returncode == 0


def test_the_registered_model_is_listed_and_shown(headset):
    (known,) = json.loads(headset("models", "list", "--json").stdout)
    assert known["aliases"] == ["champion"]
    assert 0.5 < known["made"]["metrics"]["accuracy"] <= 1
    shown = headset("models", "show", "champion")
    assert shown.returncode == 0
    assert "accuracy" in shown.stdout
