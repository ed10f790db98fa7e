"""On a cluster of this machine; skipped where Ray does not start one in time."""

from __future__ import annotations

import os

import pytest
from contracts.launcher import PROGRAM, LauncherContract, attempt, until

ray = pytest.importorskip("ray")

from headset.backends.ray import RayLauncher  # noqa: E402 - not where Ray is not installed


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
