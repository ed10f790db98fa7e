"""The same store behind a tracking server on the network, as a team shares it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import httpx
import pytest

from headset.core.errors import InvalidInput
from headset.training.tracking import Begun, Tracker, read_mlmodel

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a server of MLflow's own."""
    folder = tmp_path_factory.mktemp("server")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'store.db'}", "--artifacts-destination", str(folder / "a")]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while not _answers(url):
            assert process.poll() is None, (folder / "said").read_text()
            assert time.monotonic() < deadline, (folder / "said").read_text()
            time.sleep(0.2)
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # and the workers it has started
        process.wait()


def test_a_training_is_kept_there_and_its_model_comes_back(server, open_home, examples, tmp_path):
    home = open_home()
    home.add("first", examples)
    made = home.train("first", tracking_uri=server)
    assert made.said == ""
    tracker = Tracker(server)
    known = home.registry.champion("intent")
    folder = tracker.fetch("models:/intent@champion", tmp_path)
    flavours, signature = read_mlmodel(folder)
    assert "python_function" in flavours
    assert "automatic" in signature
    kept = {path.name: path.read_bytes() for path in home.registry.artifact("intent", known.version).iterdir()}
    assert {name: next(folder.rglob(name)).read_bytes() for name in kept} == kept
    assert tracker.fetch(f"runs:/{known.made.run_id}/confusion.png", tmp_path).read_bytes().startswith(b"\x89PNG")


def test_more_than_a_model_may_have_is_not_fetched(server, tmp_path, monkeypatch):
    tracker = Tracker(server)
    run_id = tracker.open_run("large", "1", Begun("large", 1_000_000, {}, {}))
    (tmp_path / "report" / "inside").mkdir(parents=True)
    for place in ("a", "inside/b"):
        (tmp_path / "report" / place).write_bytes(b"12345")
    tracker.close_run(run_id, ended=2_000_000, metrics={}, state="FINISHED", report=tmp_path / "report")
    assert (tracker.fetch(f"runs:/{run_id}/", tmp_path / "whole") / "inside" / "b").read_bytes() == b"12345"
    monkeypatch.setattr("headset.training.tracking.BYTES_LIMIT", 9)
    with pytest.raises(InvalidInput, match="has 10 bytes, at most 9 may be imported"):
        tracker.fetch(f"runs:/{run_id}/", tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


def test_a_run_is_begun_once_however_often_it_is_opened(server, tmp_path):
    tracker = Tracker(server)
    begun = Begun("trial 1", 1_000_000, {"C": "2.0"}, {"commit": "abc"})
    run_id = tracker.open_run("search", "1", begun)
    assert tracker.open_run("search", "1", begun) == run_id
    (tmp_path / "picture.png").write_bytes(b"png")
    tracker.close_run(run_id, ended=2_000_000, metrics={"loss": [0.5, 0.25]}, state="FINISHED", report=tmp_path)
    assert tracker.open_run("search", "2", begun) != run_id


def _answers(url):
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/health", timeout=2).status_code == 200
    return False
