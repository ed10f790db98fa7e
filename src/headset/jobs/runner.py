"""What a worker does with an attempt at a job: start it, watch it to its end, and decide how the job goes on.

Each step may be done again after a crash at any moment: what has happened already is read from the record of
jobs and not repeated.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from headset.core.clock import MICROSECONDS
from headset.core.errors import HeadsetError, InvalidInput, StorageFailed
from headset.events.schema import JobAdopted, JobEnded, JobRequeued, JobStarted
from headset.jobs.launcher import Attempt, Status

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from headset.core.clock import Clock
    from headset.jobs.launcher import Launcher
    from headset.jobs.record import Job
    from headset.jobs.spec import LauncherName
    from headset.jobs.store import Jobs

    Step = Callable[[Callable[[str, int], bool], str, int], bool]

_logger = logging.getLogger("headset.jobs")
_POLL_S = 0.25
_POLL_LIMIT_S = 2.0
_AGAIN_S = 2.0
_BACKOFF_LIMIT_S = 3_600.0
_LOST_LIMIT = 5
_MISUSE = 2
"""Exit code of a command that was misused: doing it again would not help."""


class WorkerStopped(BaseException):
    """The worker ends; the job goes on and is watched by the next one. No error: nothing may record it as one."""


class Runner:
    """Takes attempts at jobs to their end.

    Args:
        jobs: Their record.
        launcher: Gives the launcher of a name; raises ``InvalidInput`` where it cannot be used here.
        clock: Tells when the next attempt is due.
        stop: Set when the worker is to end.
        worker: Names this worker, one run of it.
    """

    def __init__(
        self,
        jobs: Jobs,
        launcher: Callable[[LauncherName], Launcher],
        clock: Clock,
        *,
        stop: threading.Event,
        worker: str,
    ) -> None:
        self._jobs = jobs
        self._launcher = launcher
        self._clock = clock
        self._stop = stop
        self._worker = worker
        self._mine: set[tuple[str, int]] = set()

    def run(self, job_id: str, attempt: int, step: Step) -> None:
        """Take an attempt to its end.

        Args:
            job_id: The job.
            attempt: The attempt, from 1.
            step: Calls one of the steps with the job and the attempt, and keeps the answer: durably, where the work is
                to go on from there after a crash.

        Raises:
            WorkerStopped: the worker is to end.
        """
        try:
            if step(self.start, job_id, attempt):
                step(self.watch, job_id, attempt)
        except Exception as error:
            _logger.exception("job %s cannot be taken further", job_id)
            reason = f"the worker could not take it further: {error}"
            self._tell(JobEnded(job_id=job_id, result="failed", attempt=attempt, reason=reason))

    def start(self, job_id: str, attempt: int) -> bool:
        """Start an attempt; False when there is nothing to watch.

        The log hears of it first, so that whatever happens then, it is known what may be running.
        """
        job = self._job(job_id)
        if job.attempt > attempt:
            return False
        if job.attempt < attempt:
            if job.is_over:
                return False
            if job.cancelling:
                self._tell(JobEnded(job_id=job_id, result="cancelled", attempt=job.attempt, reason="cancelled"))
                return False
            launcher = job.spec.launcher
            handle = Attempt(job_id, attempt, job.spec).handle
            self._mine.add((job_id, attempt))
            self._tell(JobStarted(job_id=job_id, attempt=attempt, launcher=launcher, handle=handle))
            job = self._job(job_id)
        return job.state != "running" or self._launch(job, attempt)

    def _launch(self, job: Job, attempt: int) -> bool:
        wanted = Attempt(job.job_id, attempt, job.spec)
        try:
            launcher = self._launcher(job.spec.launcher)
            launcher.check(job.spec)
            try:
                launcher.start(wanted)
            except StorageFailed:  # it may have started all the same
                self._tidy(launcher.cancel, wanted.handle)
                self._tidy(launcher.release, wanted.handle)
                raise
        except InvalidInput as error:
            self._tell(JobEnded(job_id=job.job_id, result="failed", attempt=attempt, reason=str(error)))
            return False
        except HeadsetError as error:
            self._conclude(job, attempt, Status(running=False, reason=f"it could not be started: {error}"))
            return False
        return True

    def watch(self, job_id: str, attempt: int) -> bool:
        """Return when an attempt has ended; True when there is to be another."""
        job = self._job(job_id)
        if job.attempt != attempt:
            return job.attempt > attempt  # what follows was done before
        handle = Attempt(job_id, attempt, job.spec).handle
        launcher = self._launcher(job.spec.launcher)
        again = job.state == "waiting"
        if not again:
            status, trouble = self._await_end(job, handle, launcher)
            again = self._conclude(job, attempt, status, trouble)
        self._tidy(launcher.release, handle)
        return again

    def _await_end(self, job: Job, handle: str, launcher: Launcher) -> tuple[Status, str]:
        """How the attempt ended, and what kept its output from being kept, if anything did."""
        pause, trouble, known = _POLL_S, "", (job.job_id, job.attempt) in self._mine
        while True:
            status: Status | None = None
            try:
                status = launcher.poll(handle)
                trouble = trouble or self._keep_output(job, handle, launcher)
                if status.running:
                    trouble = trouble or self._overdue(job)
                if status.running and (trouble or self._is_unwanted(job.job_id)):
                    launcher.cancel(handle)
            except StorageFailed as error:
                if status is not None and not status.running:
                    _logger.warning("the end of the output of job %s is lost: %s", job.job_id, error)
                    return status, trouble
                _logger.warning("job %s cannot be watched for now: %s", job.job_id, error)
                self._pause(_AGAIN_S)
                continue
            if not status.running:
                return status, trouble
            if not known:
                self._tell(JobAdopted(job_id=job.job_id, attempt=job.attempt, worker=self._worker))
                self._mine.add((job.job_id, job.attempt))
                known = True
            self._pause(pause)
            pause = min(pause * 1.2, _POLL_LIMIT_S)

    def _keep_output(self, job: Job, handle: str, launcher: Launcher) -> str:
        """Copy what was printed since; the answer says why it cannot be kept, and is empty where it is."""
        printed = launcher.logs(handle, self._jobs.output.size(job.job_id, job.attempt))
        try:
            self._jobs.output.append(job.job_id, job.attempt, printed)
        except StorageFailed as error:
            return str(error)
        return ""

    def _overdue(self, job: Job) -> str:
        """Whether it ran longer than it may and its launcher has not ended it."""
        limit = job.spec.resources.time_limit_s
        if limit is None or self._clock.now() < job.started + (limit + _POLL_LIMIT_S) * MICROSECONDS:
            return ""
        return f"it ran longer than its limit of {limit:g} s"

    def _is_unwanted(self, job_id: str) -> bool:
        job = self._jobs.get(job_id)
        return job.cancelling or job.is_over

    def _conclude(self, job: Job, attempt: int, status: Status, trouble: str = "") -> bool:
        """Say how an attempt ended; True when there is to be another."""
        job_id, code = job.job_id, status.exit_code
        if code == 0 and not trouble:
            self._tell(JobEnded(job_id=job_id, result="succeeded", attempt=attempt, exit_code=0))
            return False
        now = self._job(job_id)
        if now.cancelling or now.is_over:
            self._tell(JobEnded(job_id=job_id, result="cancelled", attempt=attempt, exit_code=code, reason="cancelled"))
            return False
        reason = trouble or status.reason or _told(code)
        failures = attempt - job.lost  # this one included
        # What this worker never saw running went down with the machine: the job is not to blame.
        lost = code is None and (job_id, attempt) not in self._mine and job.lost < _LOST_LIMIT
        if not lost and (code == _MISUSE or failures > job.spec.retries):
            self._tell(JobEnded(job_id=job_id, result="failed", attempt=attempt, exit_code=code, reason=reason))
            return False
        wait_s = 0.0 if lost else min(job.spec.backoff_s * 2.0 ** (failures - 1), _BACKOFF_LIMIT_S)
        due = self._clock.now() + round(wait_s * MICROSECONDS)
        self._tell(JobRequeued(job_id=job_id, attempt=attempt, reason=reason, due_time=due, exit_code=code, lost=lost))
        return True

    def _job(self, job_id: str) -> Job:
        """The job, as soon as the record can be read."""
        while True:
            try:
                return self._jobs.get(job_id)
            except StorageFailed as error:
                self._complain(error)

    def _tell(self, payload: JobStarted | JobAdopted | JobRequeued | JobEnded) -> None:
        """Tell the log, as soon as it takes it: a full disk is told when there is room again."""
        while True:
            try:
                self._jobs.tell(payload)
            except HeadsetError as error:
                self._complain(error)
            else:
                return

    def _complain(self, error: HeadsetError) -> None:
        _logger.warning("the log cannot be used, it is tried again: %s", error)
        self._pause(_AGAIN_S)

    def _tidy(self, deed: Callable[[str], None], handle: str) -> None:
        try:
            deed(handle)
        except HeadsetError as error:
            _logger.warning("%s is left behind: %s", handle, error)

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise WorkerStopped


def _told(code: int | None) -> str:
    if code is None:
        return "it is gone without a trace"
    if code < 0:
        return f"ended by signal {-code}"
    return f"ended with code {code}; its log says why"
