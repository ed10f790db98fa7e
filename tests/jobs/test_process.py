from __future__ import annotations

import itertools
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from contracts.launcher import PROGRAM, LauncherContract, attempt, until

from headset.core.errors import InvalidInput, StorageFailed
from headset.jobs import attendant
from headset.jobs.process import ProcessLauncher


@pytest.fixture
def home(tmp_path):
    return tmp_path


@pytest.fixture
def again(tmp_path):
    environ = {"PATH": os.environ["PATH"], "API_TOKEN": "told to nobody"}
    return lambda: ProcessLauncher(tmp_path / "running", tmp_path, environ, program=PROGRAM)


@pytest.fixture
def launcher(again, tmp_path):
    yield again()
    for file in tmp_path.glob("running/*/state"):
        with suppress(ProcessLookupError, KeyError):
            os.killpg(state_of(file)["command"], signal.SIGKILL)


def state_of(file):
    return msgspec.json.decode(file.read_bytes().strip())


@pytest.fixture
def state(tmp_path):
    return lambda work: state_of(tmp_path / "running" / work.handle / "state")


def lives(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class TestProcessLauncher(LauncherContract):
    def test_cancelling_ends_what_it_started_too(self, launcher):
        work = attempt("child", "wait")
        launcher.start(work)
        child = int(self.said(launcher, work.handle, b"\n"))
        launcher.cancel(work.handle)
        status = self.ended(launcher, work.handle)
        assert status.exit_code == -signal.SIGTERM
        assert status.reason == "it was told to end"
        until(lambda: not lives(child))

    def test_what_it_leaves_behind_ends_with_it(self, launcher):
        work = attempt("child", "exit:0")
        launcher.start(work)
        child = int(self.said(launcher, work.handle, b"\n"))
        assert self.ended(launcher, work.handle).exit_code == 0
        until(lambda: not lives(child))

    def test_a_killed_command_tells_the_signal(self, launcher):
        work = attempt("kill:9")
        launcher.start(work)
        assert self.ended(launcher, work.handle).exit_code == -signal.SIGKILL

    def test_a_command_without_attendant_is_watched_and_can_be_ended(self, launcher, again, state):
        work = attempt("say:here", "wait")
        launcher.start(work)
        self.said(launcher, work.handle, b"here")
        os.kill(state(work)["attendant"], signal.SIGKILL)
        until(lambda: not lives(state(work)["attendant"]))
        other = again()
        assert other.poll(work.handle).running
        other.start(work)
        other.cancel(work.handle)
        status = self.ended(other, work.handle)
        assert (status.exit_code, status.reason) == (None, "its process is gone and left no exit code")

    def test_one_that_died_with_the_machine_is_known_to_be_gone(self, launcher, state):
        work = attempt("say:here", "wait")
        launcher.start(work)
        self.said(launcher, work.handle, b"here")
        for name in ("attendant", "command"):
            os.kill(state(work)[name], signal.SIGKILL)
        assert self.ended(launcher, work.handle).exit_code is None

    def test_a_time_limit_ends_it(self, launcher):
        work = attempt("wait", resources={"time_limit_s": 0.3})
        launcher.start(work)
        status = self.ended(launcher, work.handle)
        assert (status.exit_code, status.reason) == (-signal.SIGTERM, "it ran longer than its limit of 0.3 s")

    def test_too_much_memory_ends_it(self, launcher):
        work = attempt("memory:200", "wait", resources={"memory_mb": 100})
        launcher.start(work)
        status = self.ended(launcher, work.handle)
        assert status.exit_code < 0
        assert status.reason.endswith("MB of memory, 100 MB are its limit")

    def test_memory_is_looked_at_by_time_however_much_is_printed(self, tmp_path, monkeypatch):
        times, looks = itertools.count(), []
        monkeypatch.setattr(attendant, "_now", lambda: next(times) * attendant._LOOK_EVERY_S / 10)
        monkeypatch.setattr(attendant, "_memory_mb", lambda _: looks.append(1) or 0)
        watched = attendant._Attendance(tmp_path, {"time_limit_s": None, "memory_mb": 100}, 0, 0)
        watched._command = subprocess.CompletedProcess([], 0)
        watched._command.pid = 1
        for _ in range(100):
            watched._hold_to_limits()
        assert len(looks) == 10

    def test_a_full_disk_ends_it_and_says_so(self, launcher, tmp_path):
        if not Path("/dev/full").exists():
            pytest.skip("this system has no /dev/full")
        work = attempt("say:much", "wait")
        folder = tmp_path / "running" / work.handle
        folder.mkdir(parents=True)
        (folder / "output").symlink_to("/dev/full")
        launcher.start(work)
        status = self.ended(launcher, work.handle)
        assert status.reason == "its output cannot be written: No space left on device"

    def test_a_program_that_is_not_there_is_told(self, tmp_path):
        launcher = ProcessLauncher(tmp_path / "running", tmp_path, {}, program=("/not/there",))
        work = attempt("x")
        launcher.start(work)
        status = self.ended(launcher, work.handle)
        assert status.exit_code == 127
        assert "No such file" in status.reason

    def test_a_folder_that_cannot_be_written_is_told(self, tmp_path):
        (tmp_path / "running").write_text("")
        launcher = ProcessLauncher(tmp_path / "running", tmp_path, {}, program=PROGRAM)
        with pytest.raises(StorageFailed, match="running"):
            launcher.start(attempt("x"))

    @pytest.mark.parametrize("asked", [{"cpus": 1_000}, {"memory_mb": 16_000_000}, {"gpus": 1}])
    def test_more_than_the_machine_has_is_refused(self, launcher, asked):
        with pytest.raises(InvalidInput, match=r"resources\.\w+: is \d+;"):
            launcher.check(attempt("x", resources=asked).spec)

    def test_cpus_hold_the_threads_of_libraries(self, launcher):
        work = attempt("env:OMP_NUM_THREADS", resources={"cpus": 1.5})
        launcher.start(work)
        self.ended(launcher, work.handle)
        assert launcher.logs(work.handle, 0) == b"OMP_NUM_THREADS = 1\n"

    def test_no_attendant_is_left_as_a_zombie(self, launcher):
        work = attempt("exit:0")
        launcher.start(work)
        self.ended(launcher, work.handle)
        own = str(os.getpid())
        until(
            lambda: (
                launcher.poll(work.handle)
                and "attendant" not in subprocess.check_output(["ps", "--ppid", own], text=True)
            )
        )
