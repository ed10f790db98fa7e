"""Processes that end together, and one server to a home folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from msgspec.structs import replace

from headset import supervisor
from headset.cli import command as cli
from headset.core.config import Config, ServerConfig
from headset.core.errors import HeadsetError, InvalidInput, StorageFailed

pytestmark = pytest.mark.slow

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(60)"


def is_free(port):
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def test_a_home_folder_has_one_server_until_it_is_gone(start, headset, free_port, other_port, home):
    first = start("serve", "--host", "localhost")
    refused = headset("serve", "--port", str(other_port))
    assert refused.returncode == 2
    assert str(home) in refused.stderr
    assert f"process {first.process.pid}" in refused.stderr
    refused = headset("up", "--twin", "--json", "--port", str(other_port))
    assert refused.returncode == 2
    assert json.loads(refused.stdout)["field"] == "home"
    first.kill()
    second = start()
    second.stop(signal.SIGKILL)  # the main process alone: its worker must not serve on
    assert is_free(free_port)
    third = start()
    third.stop(signal.SIGHUP)
    assert third.process.returncode == 0
    assert is_free(free_port)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_nothing_outlives_up(start, headset, free_port, home, number):
    server = start("up", "--twin")
    printed = server.stop(number)
    assert server.process.returncode == (0 if number == signal.SIGHUP else -signal.SIGKILL), printed
    assert is_free(free_port)
    supervisor.check_unserved(home)


def test_up_prints_one_json_value_whatever_happens_after(home, free_port):
    command = [sys.executable, "-m", "headset", "up", "--json", "--port", str(free_port), "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert json.loads(process.stdout.readline())["url"] == f"http://127.0.0.1:{free_port}"
        os.kill(int((home / "serve.lock").read_text()), signal.SIGKILL)
        rest, told = process.communicate(timeout=60)
    assert (process.returncode, rest) == (1, "")
    assert "'headset serve' ended with code -9" in told
    assert "Traceback" not in told


@pytest.fixture
def processes(monkeypatch, tmp_path, capfd):
    """Children that run a given piece of Python instead of a command."""
    monkeypatch.setattr(supervisor, "_PROGRAM", (sys.executable, "-c"))
    monkeypatch.setattr(supervisor, "_INSIST_S", 0.1)
    children = supervisor.Processes(Config(home=tmp_path, server=ServerConfig(drain_s=0.1)), os.environ)
    yield children
    children.stop()


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_child_that_does_not_listen_is_killed(processes, capfd):
    processes.start(STUBBORN)
    until(lambda: capfd.readouterr().err)
    processes.stop()
    assert "code -9" in processes.ended()


def test_children_get_the_time_that_the_server_may_take_to_drain(tmp_path):
    config = Config(home=tmp_path, server=ServerConfig(drain_s=300))
    assert supervisor.Processes(config, {})._patience_s > 300


def test_a_child_that_is_not_vital_is_told_once_and_missed_by_nobody(processes):
    processes.start("import time; time.sleep(60)")
    processes.start("raise SystemExit(3)", vital=False)
    told = []
    until(lambda: told.extend(processes.missed()) or told)
    assert told == ["'headset raise SystemExit(3)' ended with code 3"]
    assert (processes.missed(), processes.ended()) == ([], None)


def test_a_vital_child_that_ends_is_named(processes):
    processes.start("raise SystemExit(3)")
    until(processes.ended)
    assert processes.ended() == "'headset raise SystemExit(3)' ended with code 3"


def test_figures_that_cannot_be_read_are_told_in_the_status_line():
    class Unreadable:
        def reports(self, hours):
            raise StorageFailed("no room is left on [disk]")

    assert cli._status(Unreadable()) == "no figures: no room is left on [disk]"


def test_after_the_address_is_printed_an_error_goes_beside(capsys):
    with pytest.raises(cli.typer.Exit), cli._told_beside():
        raise HeadsetError("it ended")
    assert tuple(capsys.readouterr()) == ("", "headset: it ended\n")


def test_a_hangup_ends_a_command_but_not_under_nohup():
    numbers = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        stop = supervisor.stop_on_signals()
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop.wait(5)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        stop = supervisor.stop_on_signals()
        os.kill(os.getpid(), signal.SIGHUP)
        assert not stop.is_set()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_name_is_bound_as_its_address(tmp_path):
    config = Config(home=tmp_path, server=ServerConfig(host="localhost"))
    assert supervisor.resolve_host(config).server == ServerConfig(host="127.0.0.1")
    unknown = replace(config, server=ServerConfig(host="nowhere.invalid"))
    with pytest.raises(InvalidInput, match=r"host: 'nowhere\.invalid'"):
        supervisor.resolve_host(unknown)
