"""Real processes: a home folder with a trained champion, made once, and servers started on copies of it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import httpx
import pytest

from headset import cli
from headset.app import open_installation
from headset.app.training import train_intent
from headset.core.config import load_config
from headset.data.importer import import_items
from headset.data.row import Row
from headset.training.recipe import IntentRequest
from headset.twin.example import write_examples
from headset.twin.scenario import read_scenario
from headset.twin.world import make_world


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory):
    home = tmp_path_factory.mktemp("trained") / "home"
    world = make_world(read_scenario("quiet_week"))
    examples = write_examples(world, 1_500, random.Random(3), language="en", channel="chat")
    rows = (Row(number, example.text, example.label) for number, example in enumerate(examples, start=1))
    with open_installation(load_config(home, {})) as parts:
        import_items(rows, "starter", log=parts.log, door=parts.door, clock=parts.clock)
        request = IntentRequest(dataset="starter", seed=3, target_precision=0.9)
        train_intent(parts, request, progress=lambda _phase, _fraction: None)
        parts.development_key()
    return home


@pytest.fixture
def home(trained_home, tmp_path):
    return shutil.copytree(trained_home, tmp_path / "home")


@pytest.fixture
def free_port():
    return _free_port()


@pytest.fixture
def other_port(free_port):
    return _free_port()


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.fixture
def headset(home):
    """Run one command to its end."""

    def run(*arguments, **options):
        command = [sys.executable, "-m", "headset", *arguments]
        environ = {**os.environ, "HEADSET_HOME": str(home)}
        return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=120, check=False, **options)

    return run


@pytest.fixture
def main(home, monkeypatch, capsys):
    """Run the command line in this process; gives exit code, standard output and standard error."""

    def run(*arguments):
        monkeypatch.setenv("HEADSET_HOME", str(home))
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr(sys, "argv", ["headset", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return left.value.code, *capsys.readouterr()

    mask = os.umask(0o022)
    yield run
    os.umask(mask)


class Server:
    """A server process group and a client with its development key."""

    def __init__(self, home, port, arguments):
        environ = {**os.environ, "HEADSET_HOME": str(home)}
        command = [sys.executable, "-m", "headset", *arguments, "--port", str(port)]
        self.process = subprocess.Popen(
            command, env=environ, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.url = f"http://127.0.0.1:{port}"
        self._key_file = home / "keys" / "development.key"

    def await_ready(self, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                pytest.fail(f"the server ended: {self.process.stdout.read()}")
            try:
                if httpx.get(f"{self.url}/readyz", timeout=2).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        pytest.fail("the server was not ready in time")

    def client(self, **options):
        headers = {"Authorization": f"Bearer {self._key_file.read_text().strip()}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, **options)

    def kill(self):
        """SIGKILL to every process of the group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self, number=signal.SIGTERM):
        """Send a signal to the process alone, SIGTERM as an operator would; returns what was printed.

        All processes it started print to the same pipe, so its end means that none of them lives.
        """
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            printed, _ = self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return printed


@pytest.fixture
def start(home, free_port):
    """Start ``headset serve`` (or another command) on the home folder; stopped at the end of the test."""
    started = []

    def run(*arguments):
        server = Server(home, free_port, arguments or ("serve",))
        started.append(server)
        server.await_ready()
        return server

    yield run
    for server in started:
        with suppress(ProcessLookupError):
            os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()
        server.process.stdout.close()
