"""What every launcher promises; an engine's tests subclass :class:`LauncherContract` and give it a launcher.

The work is a small program in place of ``headset``: it does what the arguments of the job say.
"""

from __future__ import annotations

import sys
import time

import pytest

from headset.core.errors import InvalidInput
from headset.jobs.launcher import Attempt
from headset.jobs.spec import job_spec

SCRIPT = """
import os, signal, subprocess, sys, time
for word in sys.argv[2:]:
    deed, _, value = word.partition(":")
    if deed == "say":
        print(value, flush=True)
    elif deed == "complain":
        print(value, file=sys.stderr, flush=True)
    elif deed == "env":
        print(value, "=", os.environ.get(value), flush=True)
    elif deed == "keep":
        open(os.path.join(os.environ["HEADSET_HOME"], value), "a").write("once\\n")
    elif deed == "exit":
        sys.exit(int(value))
    elif deed == "kill":
        os.kill(os.getpid(), int(value))
    elif deed == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif deed == "child":
        print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid, flush=True)
    elif deed == "memory":
        held = bytearray(int(value) * 2**20)
    elif deed == "wait":
        time.sleep(600)
"""
PROGRAM = (sys.executable, "-c", SCRIPT)


def attempt(*words, job_id="job", number=1, **rest):
    """An attempt at a job that does what ``words`` say."""
    return Attempt(job_id, number, job_spec(["train", *words], **rest))


def until(happened, seconds=110):
    """What ``happened`` gives once it is true; the test fails when it does not come."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := happened():
            return found
        time.sleep(0.05)
    pytest.fail("it did not happen in time")


class LauncherContract:
    """Fixtures to give: ``launcher``, ``again`` (another onto the same engine), ``home`` (the folder jobs see)."""

    def ended(self, launcher, handle):
        return until(lambda: None if (status := launcher.poll(handle)).running else status)

    def said(self, launcher, handle, text):
        return until(lambda: printed if text in (printed := launcher.logs(handle, 0)) else None)

    def test_output_and_exit_code_are_kept_until_it_is_released(self, launcher):
        work = attempt("say:one", "complain:two", "exit:3", job_id="told")
        launcher.start(work)
        assert self.ended(launcher, work.handle).exit_code == 3
        printed = launcher.logs(work.handle, 0)
        assert printed == b"one\ntwo\n"
        assert launcher.logs(work.handle, 4) == b"two\n"
        assert launcher.logs(work.handle, len(printed)) == b""
        launcher.release(work.handle)
        until(lambda: launcher.poll(work.handle).exit_code is None)
        launcher.release(work.handle)

    def test_a_running_attempt_is_found_again_by_its_handle(self, launcher, again):
        work = attempt("say:here", "wait", job_id="found")
        launcher.start(work)
        self.said(launcher, work.handle, b"here\n")
        other = again()
        assert other.poll(work.handle).running
        assert other.logs(work.handle, 0) == b"here\n"
        other.cancel(work.handle)
        status = self.ended(other, work.handle)
        assert status.exit_code is None or status.exit_code < 0
        other.release(work.handle)

    def test_an_attempt_started_again_runs_once(self, launcher, again, home):
        work = attempt("keep:runs", "say:done", job_id="once")
        for each in (launcher, again(), launcher):
            each.start(work)
        assert self.ended(launcher, work.handle).exit_code == 0
        again().start(work)
        assert self.ended(launcher, work.handle).exit_code == 0
        assert (home / "runs").read_text() == "once\n"
        launcher.release(work.handle)

    def test_what_is_unknown_has_ended_without_a_trace(self, launcher):
        status = launcher.poll("headset-unheard-1")
        assert (status.running, status.exit_code) == (False, None)
        assert status.reason
        assert launcher.logs("headset-unheard-1", 0) == b""
        launcher.cancel("headset-unheard-1")
        launcher.release("headset-unheard-1")

    def test_an_attempt_sees_its_variables_and_secrets(self, launcher):
        work = attempt(
            "env:FLAVOUR", "env:API_TOKEN", "env:HEADSET_PROGRESS", job_id="sees",
            environment={"variables": {"FLAVOUR": "a b $HOME;"}, "secrets": ["API_TOKEN"]},
        )  # fmt: skip
        launcher.start(work)
        assert self.ended(launcher, work.handle).exit_code == 0
        assert (
            launcher.logs(work.handle, 0)
            == b"FLAVOUR = a b $HOME;\nAPI_TOKEN = told to nobody\nHEADSET_PROGRESS = lines\n"
        )
        launcher.release(work.handle)

    def test_arguments_are_no_shell(self, launcher, home):
        work = attempt("say:$(touch /tmp/x); `id` && echo > y | z", "exit:0", job_id="shell")
        launcher.start(work)
        assert self.ended(launcher, work.handle).exit_code == 0
        assert launcher.logs(work.handle, 0) == b"$(touch /tmp/x); `id` && echo > y | z\n"
        launcher.release(work.handle)

    def test_a_secret_that_is_not_there_is_named(self, launcher):
        work = attempt("say:x", job_id="absent", environment={"secrets": ["NOT_THERE"]})
        with pytest.raises(InvalidInput, match="NOT_THERE"):
            launcher.start(work)
