from __future__ import annotations

import itertools
from contextlib import suppress

import pytest

from headset.core.errors import InvalidInput, NotFound, StorageFailed, StorageFull
from headset.events.schema import JobEnded, JobQueued, JobStarted
from headset.jobs.launcher import Status
from headset.jobs.runner import Runner, WorkerStopped
from headset.jobs.spec import job_spec

DONE, FAILED, MISUSED = (
    Status(running=False, exit_code=0),
    Status(running=False, exit_code=1),
    Status(running=False, exit_code=2),
)
RUNNING, GONE = Status(running=True), Status(running=False)


class Stop:
    """An event of a simulated time; after ``patience`` waits it is set."""

    def __init__(self, clock, patience=10_000):
        self._clock = clock
        self.patience = patience

    def wait(self, seconds):
        self._clock.advance(seconds)
        self.patience -= 1
        return self.patience < 0


class Engine:
    """A launcher whose attempts go as told: a list of states for each, the last of which stays."""

    def __init__(self, *attempts):
        self.attempts = list(attempts)
        self.started, self.cancelled, self.released = [], [], []
        self.told, self.refusal, self.on_poll = b"", None, lambda: None

    def check(self, spec):
        pass

    def start(self, attempt):
        if self.refusal is not None:
            raise self.refusal
        if attempt.handle not in self.started:
            self.started.append(attempt.handle)

    def poll(self, handle):
        self.on_poll()
        if handle not in self.started or handle in self.cancelled:
            return GONE
        states = self.attempts[self.started.index(handle)]
        return states.pop(0) if len(states) > 1 else states[0]

    def logs(self, handle, offset):
        return self.told[offset:]

    def cancel(self, handle):
        self.cancelled.append(handle)

    def release(self, handle):
        self.released.append(handle)


def direct(deed, job_id, attempt):
    return deed(job_id, attempt)


class Working(Runner):
    """A runner that takes a job through its attempts, as worker and queue do."""

    def finish(self, job_id):
        if begun := self._job(job_id).attempt:  # a queue first goes on with what another worker left
            self.run(job_id, begun, direct)
        while not (job := self._job(job_id)).is_over:
            attempt = job.next_attempt(self._clock.now())
            if attempt is None:
                self._pause((job.due - self._clock.now()) / 1e6)
            else:
                self.run(job_id, attempt, direct)


@pytest.fixture
def make_runner(jobs, clock):
    def make(engine, patience=10_000, worker="w1"):
        return Working(jobs, lambda _: engine, clock, stop=Stop(clock, patience), worker=worker)

    return make


@pytest.fixture
def run(jobs, make_runner):
    def run(engine, **rest):
        job = jobs.submit(job_spec(["train", "intent"], **rest))
        make_runner(engine).finish(job.job_id)
        return jobs.get(job.job_id)

    return run


def test_a_job_succeeds(run, jobs):
    engine = Engine([RUNNING, RUNNING, DONE])
    engine.told = b"hello\n"
    job = run(engine)
    assert (job.state, job.attempt, job.exit_code, job.reason) == ("succeeded", 1, 0, "")
    assert engine.released == [f"headset-{job.job_id}-1"]
    lines = jobs.lines(job.job_id, 0)
    assert (lines.text, jobs.lines(job.job_id, lines.offset).ended) == ("hello\n", True)


@pytest.mark.parametrize(("end", "state"), [(DONE, "succeeded"), (FAILED, "failed")])
def test_a_job_that_has_ended_is_over_although_its_log_cannot_be_fetched(run, end, state):
    class Mute(Engine):
        def logs(self, handle, offset):
            raise StorageFailed("the engine gives no log")

    assert run(Mute([end])).state == state


def test_a_failure_is_tried_again_with_growing_pauses(run, jobs, clock):
    begun = clock.now()
    job = run(Engine([FAILED], [FAILED], [FAILED], [DONE]), retries=3, backoff_s=10)
    assert (job.state, job.attempt) == ("succeeded", 4)
    assert 70 <= (clock.now() - begun) / 1e6 < 80  # 10, 20 and 40 s


def test_retries_run_out(run):
    job = run(Engine(*[[FAILED]] * 3), retries=2, backoff_s=0)
    assert (job.state, job.attempt, job.exit_code) == ("failed", 3, 1)
    assert job.reason == "ended with code 1; its log says why"


def test_a_command_that_was_misused_is_not_tried_again(run):
    job = run(Engine([MISUSED]), retries=5)
    assert (job.state, job.attempt, job.exit_code) == ("failed", 1, 2)


def test_what_can_never_start_fails_at_once(run):
    engine = Engine()
    engine.refusal = InvalidInput("environment.secrets", "X is not there")
    job = run(engine, retries=5)
    assert (job.state, job.attempt, job.reason) == ("failed", 1, "environment.secrets: X is not there")


def test_an_engine_that_does_not_answer_uses_up_retries(run):
    engine = Engine()
    engine.refusal = StorageFailed("podman does not answer")
    job = run(engine, retries=2)
    assert (job.state, job.attempt, job.reason) == ("failed", 3, "it could not be started: podman does not answer")


def test_an_engine_that_is_away_while_a_job_runs_is_waited_for(run):
    engine = Engine([RUNNING, DONE])
    answers = itertools.chain([None, StorageFailed("away"), StorageFailed("away")], itertools.repeat(None))

    def answer():
        if (error := next(answers)) is not None:
            raise error

    engine.on_poll = answer
    assert run(engine).state == "succeeded"


def test_a_running_job_can_be_cancelled(jobs, make_runner):
    engine = Engine([RUNNING])
    job = jobs.submit(job_spec(["train", "intent"], retries=3))
    polls = itertools.count()
    engine.on_poll = lambda: jobs.cancel(job.job_id) if next(polls) == 2 else None
    make_runner(engine).finish(job.job_id)
    assert jobs.get(job.job_id).state == "cancelled"
    assert engine.cancelled == [f"headset-{job.job_id}-1"]


def test_a_queued_job_is_cancelled_at_once_and_never_starts(jobs, make_runner):
    engine = Engine([RUNNING])
    job = jobs.submit(job_spec(["train", "intent"]))
    assert jobs.cancel(job.job_id).state == "cancelled"
    make_runner(engine).finish(job.job_id)
    assert engine.started == []


def test_a_job_cancelled_while_it_starts_is_ended(jobs, make_runner):
    engine = Engine([RUNNING])
    job = jobs.submit(job_spec(["train", "intent"]))
    runner = make_runner(engine)
    runner.start(job.job_id, 1)
    jobs.tell(JobEnded(job_id=job.job_id, result="cancelled", reason="cancelled"))  # by who saw it queued still
    runner.run(job.job_id, 1, direct)
    assert engine.cancelled == [f"headset-{job.job_id}-1"]
    assert jobs.get(job.job_id).state == "cancelled"


def test_a_job_cancelled_between_attempts_ends(jobs, make_runner):
    engine = Engine([FAILED], [DONE])
    job = jobs.submit(job_spec(["train", "intent"], retries=1, backoff_s=3_600))
    with pytest.raises(WorkerStopped):
        make_runner(engine, patience=0).finish(job.job_id)
    assert jobs.get(job.job_id).state == "waiting"
    assert jobs.cancel(job.job_id).state == "cancelled"
    make_runner(engine).finish(job.job_id)
    assert len(engine.started) == 1


def test_an_end_that_was_reached_stays(jobs, run):
    job = run(Engine([DONE]))
    assert jobs.cancel(job.job_id) == job


@pytest.mark.parametrize("patience", range(5))
def test_wherever_a_worker_stops_the_next_one_goes_on(jobs, make_runner, patience):
    engine = Engine([RUNNING, RUNNING, FAILED], [RUNNING, RUNNING, DONE])
    job = jobs.submit(job_spec(["train", "intent"], retries=1, backoff_s=1))
    with pytest.raises(WorkerStopped):
        make_runner(engine, patience).finish(job.job_id)
    make_runner(engine, worker="w2").finish(job.job_id)
    job = jobs.get(job.job_id)
    assert (job.state, job.attempt, len(engine.started)) == ("succeeded", 2, 2)


class Crash(BaseException):
    """The worker dies on the spot."""


@pytest.mark.parametrize("moment", range(12))
def test_wherever_a_worker_dies_each_attempt_runs_once(jobs, make_runner, monkeypatch, moment):
    engine = Engine([FAILED], [DONE])
    job = jobs.submit(job_spec(["train", "intent"], retries=1, backoff_s=0))
    countdown = itertools.count()

    def dying(deed):
        def call(*arguments):
            answer = deed(*arguments)
            if next(countdown) == moment:
                raise Crash
            return answer

        return call

    with monkeypatch.context() as patch:
        for owner, name in ((jobs, "tell"), (engine, "start"), (engine, "poll"), (engine, "release")):
            patch.setattr(owner, name, dying(getattr(owner, name)))
        with suppress(Crash):
            make_runner(engine).finish(job.job_id)
    make_runner(engine, worker="w2").finish(job.job_id)
    job = jobs.get(job.job_id)
    assert (job.state, job.attempt, len(engine.started)) == ("succeeded", 2, 2)
    assert set(engine.released) == set(engine.started)


def test_a_job_lost_with_the_machine_starts_again_and_uses_up_no_retry(jobs, make_runner):
    engine = Engine([GONE], [DONE])
    job = jobs.submit(job_spec(["train", "intent"]))
    make_runner(engine).start(job.job_id, 1)
    make_runner(engine, worker="w2").watch(job.job_id, 1)
    assert (jobs.get(job.job_id).state, jobs.get(job.job_id).lost) == ("waiting", 1)
    make_runner(engine, worker="w2").finish(job.job_id)
    job = jobs.get(job.job_id)
    assert (job.state, job.attempt, job.lost) == ("succeeded", 2, 1)
    whats = [moment.what for moment in jobs.view(job, whole=True).history]
    assert "attempt 1 was lost: it is gone without a trace; it is started again from its beginning" in whats


def test_a_job_that_takes_the_machine_down_is_given_up(jobs, make_runner):
    engine = Engine(*[[GONE]] * 20)
    job = jobs.submit(job_spec(["train", "intent"]))
    for attempt in range(1, 8):
        if not make_runner(engine).start(job.job_id, attempt):
            break
        make_runner(engine, worker="w2").watch(job.job_id, attempt)
    assert (jobs.get(job.job_id).state, jobs.get(job.job_id).attempt) == ("failed", 6)


def test_one_that_vanishes_while_watched_has_failed(run):
    job = run(Engine([RUNNING, GONE]))
    assert (job.state, job.reason) == ("failed", "it is gone without a trace")


def test_a_job_found_again_says_so(jobs, make_runner):
    engine = Engine([RUNNING, RUNNING, DONE])
    job = jobs.submit(job_spec(["train", "intent"]))
    make_runner(engine).start(job.job_id, 1)
    make_runner(engine, worker="w2").finish(job.job_id)
    whats = [moment.what for moment in jobs.view(jobs.get(job.job_id), whole=True).history]
    assert whats == [
        "queued",
        "attempt 1 started (process)",
        "attempt 1 found running by another worker, and watched on",
        "succeeded",
    ]


def test_a_log_that_cannot_be_written_fails_the_job_and_no_other(run, jobs, monkeypatch):
    engine = Engine([RUNNING])
    engine.told = b"much"

    def full(*_):
        raise StorageFull("its log 1.log cannot be written: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(jobs.output, "append", full)
        job = run(engine)
    assert (job.state, job.reason) == ("failed", "its log 1.log cannot be written: No space left on device")
    assert run(Engine([DONE])).state == "succeeded"


def test_a_full_disk_under_the_log_is_waited_out(run, jobs, monkeypatch):
    tell, failures = jobs.tell, itertools.count()

    def failing(payload):
        if not isinstance(payload, JobQueued) and next(failures) % 3:
            raise StorageFull("no room")
        tell(payload)

    monkeypatch.setattr(jobs, "tell", failing)
    assert run(Engine([RUNNING, DONE])).state == "succeeded"


def test_a_time_limit_holds_where_the_launcher_keeps_none(run):
    job = run(Engine([RUNNING]), resources={"time_limit_s": 5})
    assert (job.state, job.reason) == ("failed", "it ran longer than its limit of 5 s")


def test_a_defect_of_the_worker_fails_the_job_with_its_text(run, caplog):
    engine = Engine()
    engine.refusal = RuntimeError("a defect")
    job = run(engine)
    assert (job.state, job.reason) == ("failed", "the worker could not take it further: a defect")


def test_the_record_is_the_same_when_it_is_rebuilt(run, jobs):
    run(Engine([FAILED], [RUNNING, DONE]), retries=1, backoff_s=0)
    run(Engine([GONE], [DONE]))
    before = [jobs.view(job, whole=True) for job in jobs.list()]
    jobs._projector.rebuild()
    assert [jobs.view(job, whole=True) for job in jobs.list()] == before


def test_news_told_twice_is_kept_once(jobs, log):
    job = jobs.submit(job_spec(["train", "intent"]))
    head = log.head()
    for _ in range(2):
        jobs.tell(JobStarted(job_id=job.job_id, attempt=1, launcher="process", handle="x"))
    assert log.head() == head + 1


def test_jobs_are_listed_by_state_the_newest_first(jobs):
    first, second = (jobs.submit(job_spec(["train", "intent"])) for _ in range(2))
    jobs.cancel(first.job_id)
    assert [job.job_id for job in jobs.list()] == [second.job_id, first.job_id]
    assert [job.job_id for job in jobs.list(("cancelled",))] == [first.job_id]
    assert len(jobs.list(limit=1)) == 1


def test_an_unknown_job_is_named(jobs):
    for ask in (jobs.get, jobs.cancel, lambda name: jobs.lines(name, 0)):
        with pytest.raises(NotFound, match="'nobody' is unknown"):
            ask("nobody")
