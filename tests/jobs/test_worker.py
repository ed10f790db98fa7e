"""Real workers on a real queue, killed with SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from contracts.launcher import until

from headset.app import open_installation
from headset.core.config import load_config
from headset.jobs.spec import job_spec
from headset.jobs.worker import is_working

WORKER = Path(__file__).with_name("killed_worker.py")


@pytest.fixture
def home(tmp_path, request):
    """A home folder; its queue of jobs is in SQLite, unless the test says ``postgresql``."""
    folder = tmp_path / "home"
    if getattr(request, "param", "sqlite") == "postgresql":
        folder.mkdir()
        database = request.getfixturevalue("postgres_database")
        (folder / "headset.toml").write_text(f'[jobs]\ndatabase = "{database}"\n')
    return folder


@pytest.fixture
def parts(home):
    with open_installation(load_config(home, {})) as opened:
        yield opened


@pytest.fixture
def start(home):
    """Start a worker; all are killed at the end, and what their jobs left."""
    started = []

    def run(*options):
        started.append(subprocess.Popen([sys.executable, WORKER, home, *options], stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for worker in started:
        worker.kill()
        worker.communicate()
    for file in (home / "jobs" / "running").glob("*/state"):
        with suppress(ProcessLookupError, KeyError):
            os.killpg(state_of(file)["command"], signal.SIGKILL)


def state_of(file):
    return msgspec.json.decode(file.read_bytes().strip())


@pytest.fixture
def state(home):
    """What the attendant of a job's attempt says."""
    return lambda job, number=1: state_of(home / "jobs" / "running" / f"headset-{job.job_id}-{number}" / "state")


def submit(parts, *words, **rest):
    return parts.jobs.submit(job_spec(["train", *words], **rest))


def has_printed(parts, job, text):
    return until(lambda: text in parts.jobs.lines(job.job_id, 0).text)


def over(parts, job):
    return until(lambda: found if (found := parts.jobs.get(job.job_id)).is_over else None)


def whats(parts, job):
    return [moment.what for moment in parts.jobs.view(parts.jobs.get(job.job_id), whole=True).history]


def end(worker, number=signal.SIGTERM):
    worker.send_signal(number)
    return worker.communicate(timeout=30)[1]


@pytest.mark.slow
@pytest.mark.parametrize("home", ["sqlite", "postgresql"], indirect=True)
def test_jobs_survive_the_death_of_workers_and_of_themselves(parts, start, state, home):
    first = start()
    stays = submit(parts, "keep:stays", "say:here", "wait")
    lost = submit(parts, "keep:lost", "say:here", "wait")
    for job in (stays, lost):
        has_printed(parts, job, "here\n")
    first.kill()
    first.wait()
    for name in ("attendant", "command"):  # with the worker, the machine took one of the jobs
        os.kill(state(lost)[name], signal.SIGKILL)
    assert [parts.jobs.get(job.job_id).state for job in (stays, lost)] == ["running", "running"]
    second = start()
    until(lambda: "attempt 2 started (process)" in whats(parts, lost))
    until(lambda: "attempt 1 found running by another worker, and watched on" in whats(parts, stays))
    has_printed(parts, lost, "here\nhere\n")
    assert (home / "stays").read_text() == "once\n"
    assert parts.jobs.get(lost.job_id).lost == 1

    os.killpg(state(stays)["command"], signal.SIGKILL)
    job = over(parts, stays)
    assert (job.state, job.exit_code, job.reason) == ("failed", -9, "ended by signal 9")
    child = state(lost, 2)["command"]
    parts.jobs.cancel(lost.job_id)
    assert over(parts, lost).state == "cancelled"
    with pytest.raises(ProcessLookupError):
        os.killpg(child, 0)
    assert "Traceback" not in end(second)
    assert second.returncode == 0
    assert not any((home / "jobs" / "running").iterdir())
    assert (home / "jobs" / "queue.db").exists() != (home / "headset.toml").exists()


@pytest.mark.slow
def test_of_two_workers_one_works_and_the_other_takes_over(parts, start, home):
    first = start()
    until(lambda: is_working(home / "jobs"))
    second = start()
    jobs = [submit(parts, "keep:runs", "exit:0") for _ in range(3)]
    assert {over(parts, job).state for job in jobs} == {"succeeded"}
    last = submit(parts, "say:here", "keep:runs", "wait")
    has_printed(parts, last, "here\n")
    first.kill()
    first.wait()
    until(lambda: "attempt 1 found running by another worker, and watched on" in whats(parts, last))
    parts.jobs.cancel(last.job_id)
    over(parts, last)
    assert (home / "runs").read_text() == "once\n" * 4
    assert "Traceback" not in end(second)


@pytest.mark.slow
def test_without_its_queue_the_record_brings_every_job_back(parts, start, home):
    first = start()
    failing = submit(parts, "keep:runs", "exit:1", retries=1, backoff_s=3_600)
    until(lambda: parts.jobs.get(failing.job_id).state == "waiting")
    end(first)
    for file in (home / "jobs").glob("queue.db*"):
        file.unlink()
    late = submit(parts, "exit:0")
    parts.jobs.cancel(failing.job_id)
    second = start("--once")
    assert over(parts, late).state == "succeeded"
    assert "Traceback" not in second.communicate(timeout=30)[1]
    assert second.returncode == 0
    assert (home / "runs").read_text() == "once\n"
