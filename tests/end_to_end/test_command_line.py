"""The command line: exit codes, JSON, and errors that say what to do."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys

import pytest

from headset import cli

pytestmark = pytest.mark.slow


@pytest.fixture
def main(home, monkeypatch, capsys):
    """Run the command line in this process; gives exit code, standard output and standard error."""

    def run(*arguments):
        monkeypatch.setenv("HEADSET_HOME", str(home))
        monkeypatch.setattr(sys, "argv", ["headset", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return left.value.code, *capsys.readouterr()

    mask = os.umask(0o022)
    yield run
    os.umask(mask)


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
        (("monitor", "--hours", "nan"), "nan"),
        (("monitor", "--hours", "inf"), "inf"),
        (("monitor", "--hours", "1e30"), "87840"),
        (("keys", "create", "x", "--scope", "read", "--days", "nan"), "nan"),
        (("keys", "create", "x", "--scope", "read", "--days", "1e12"), "3650"),
        (("keys", "create", "x", "--scope", "read", "--days", "3000000"), "3650"),
        (("keys", "create", "x", "--scope", "read", "--days", "0"), "days"),
        (("nonsense",), "nonsense"),
        (("models", "show", "--model", "\udcff"), "argument"),
        (("monitor", "--nonsense"), "--nonsense"),
        (("serve", "--port", "99999"), "port"),
        (("serve", "--host", "nowhere.invalid"), "nowhere.invalid"),
        (("serve", "--host", "a" * 70), "127.0.0.1"),
        (("serve", "--host", "192.0.2.1"), "--host"),
        (("up", "--host", ""), "host"),
        (("twin", "run", "quiet_week", "--speed", "0"), "speed"),
        (("twin", "run", "nonsense"), "quiet_week"),
        (("twin", "generate", "quiet_week", "--out", "/dev/null"), "/dev/null"),
        (("twin", "generate", "quiet_week", "--days", "nan", "--out", "new"), "nan"),
        (("twin", "generate", "quiet_week", "--model", "99", "--out", "new"), "99"),
        (("twin", "simulate", "--scenario", "quiet_week", "--agents", "nobody=+2"), "nobody"),
        (("twin", "simulate", "--scenario", "quiet_week", "--agents", "care"), "care"),
        (("twin", "simulate", "--scenario", "quiet_week", "--runs", "1"), "runs"),
        (("twin", "simulate", "--scenario", "quiet_week", "--confusion", "nowhere.json"), "nowhere.json"),
        (("twin", "plot", "quiet_week", "--out", "year.gif"), "year.gif"),
        (("twin", "examples", "quiet_week", "--language", "fr"), "fr"),
        (("twin", "examples", "quiet_week", "--channel", "fax"), "fax"),
    ],
)
def test_misuse_exits_2_and_names_the_value(main, arguments, named):
    code, _, told = main(*arguments)
    assert code == 2
    assert named in told
    code, printed, _ = main(*arguments, "--json")
    assert code == 2
    assert named in json.loads(printed)["error"]


def test_without_a_command_the_help_is_shown(headset):
    told = headset()
    assert told.returncode == 2
    assert "monitor" in told.stdout + told.stderr


def test_a_process_misused_exits_2_without_a_traceback(headset):
    told = headset("models", "show", "99")
    assert told.returncode == 2
    assert "99" in told.stderr
    assert "Traceback" not in told.stderr


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


@pytest.mark.parametrize("name", ["keys/master.key", "log", "keys", "keys/api.db"])
def test_a_file_that_cannot_be_used_is_named_without_a_traceback(main, home, name):
    (home / name).rename(home / "aside")
    if (home / "aside").is_dir():
        (home / name).write_text("no folder")
    else:
        (home / name).mkdir()
    code, _, told = main("keys", "list")
    assert code == 1
    assert str(home / name) in told
    code, printed, _ = main("keys", "list", "--json")
    assert code == 1
    assert str(home / name) in json.loads(printed)["error"]


def test_a_home_that_is_no_folder_is_named(main, home):
    (home / "file").write_text("")
    code, _, told = main("models", "list", "--home", str(home / "file"))
    assert code in {1, 2}
    assert str(home / "file") in told


def test_what_a_command_makes_is_its_owners_alone(headset, tmp_path):
    new, data = tmp_path / "below" / "new", tmp_path / "data.csv"
    data.write_text("text,label\nwhere is my parcel,parcel\n")
    told = headset("import", "csv", str(data), "--as", "x", "--home", str(new), umask=0o022)
    assert told.returncode == 0, told.stderr
    assert headset("monitor", "--home", str(new), umask=0o022).returncode == 0
    made = [new, *new.rglob("*")]
    assert len(made) > 8
    assert [path for path in made if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


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
