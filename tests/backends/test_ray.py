"""On a cluster of this machine; skipped where Ray does not start one in time."""

from __future__ import annotations

import os

import msgspec
import pytest
from contracts.launcher import PROGRAM, LauncherContract, attempt, until

ray = pytest.importorskip("ray")

from headset.backends.ray import RayLauncher, _Node, _runs  # noqa: E402 - not where Ray is not installed
from headset.core.errors import StorageFailed  # noqa: E402 - as above


@pytest.fixture(scope="session")
def cluster():
    settings = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_raylet_start_wait_time_s": "20"}
    patch = pytest.MonkeyPatch()
    for name, value in settings.items():
        patch.setenv(name, os.environ.get(name, value))
    try:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=80_000_000)
    except Exception as error:  # noqa: BLE001 - whatever keeps it from starting
        pytest.skip(f"no Ray cluster starts here ({error})")
    yield
    ray.shutdown()
    patch.undo()


@pytest.fixture
def home(tmp_path):
    return tmp_path


@pytest.fixture
def again(cluster, home):
    environ = {**os.environ, "API_TOKEN": "told to nobody"}
    return lambda: RayLauncher("auto", home, environ, program=PROGRAM)


@pytest.fixture
def launcher(again):
    return again()


@pytest.fixture
def local(home, monkeypatch):
    """A launcher whose actors are objects of this process, by their handle: what Ray does is not looked at here."""
    actors = {}

    def start(self, attempt):
        (self._folder / attempt.handle).mkdir(parents=True, exist_ok=True)
        (self._folder / attempt.handle / "attempt.json").write_bytes(msgspec.json.encode(attempt))
        actors.setdefault(attempt.handle, _Node(attempt, str(home), {"PATH": os.environ["PATH"]}, list(PROGRAM)))

    def ask(_, handle, question, *arguments):
        return getattr(actors[handle], question)(*arguments) if handle in actors else None

    monkeypatch.setattr(RayLauncher, "start", start)
    monkeypatch.setattr(RayLauncher, "_ask", ask)
    made = RayLauncher("auto", home, os.environ, program=PROGRAM)
    made.actors = actors
    return made


def test_a_new_actor_watches_what_a_dead_one_started(local, home):
    work = attempt("keep:runs", "say:here", "wait")
    local.start(work)
    until(lambda: b"here" in local.logs(work.handle, 0))
    local.actors.clear()
    assert local.poll(work.handle).running
    until(lambda: b"here" in local.logs(work.handle, 0))
    assert (home / "runs").read_text() == "once\n"
    local.cancel(work.handle)
    until(lambda: not local.poll(work.handle).running)


def test_an_actor_on_another_node_ends_no_process_there(local, home):
    work = attempt("exit:0")
    local.start(work)
    (_runs(home) / work.handle / "node").write_text("another")
    local.actors.clear()
    local.poll(work.handle)
    with pytest.raises(RuntimeError, match="another cannot end it"):
        local.cancel(work.handle)


def test_an_actor_that_does_not_answer_is_not_killed_while_its_job_runs(home, monkeypatch):
    def ask(*_):
        raise ray.exceptions.GetTimeoutError

    released = []
    monkeypatch.setattr(RayLauncher, "_ask", ask)
    monkeypatch.setattr(RayLauncher, "release", lambda _, handle: released.append(handle))
    launcher = RayLauncher("auto", home, os.environ)
    (_runs(home) / "x").mkdir(parents=True)
    (_runs(home) / "x" / "state").touch()
    with pytest.raises(StorageFailed, match="asked again"):
        launcher.cancel("x")
    launcher.cancel("waits")
    assert released == ["waits"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning")
class TestRayLauncher(LauncherContract):
    def test_an_attempt_that_waits_for_resources_can_be_cancelled(self, launcher, monkeypatch):
        monkeypatch.setattr("headset.backends.ray._PATIENCE_S", 0.5)
        work = attempt("x", resources={"cpus": 1_000})
        launcher.start(work)
        assert launcher.poll(work.handle).running
        launcher.cancel(work.handle)
        until(lambda: not launcher.poll(work.handle).running)
