"""The process that leads a search: it draws trials, keeps workers at work, and tracks what is finished."""

from __future__ import annotations

import fcntl
import os
import platform
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import TimeoutExpired
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import asdict

from headset.core.errors import Conflict, HeadsetError, StorageFailed
from headset.training.search.worker import TRIALS
from headset.training.tracking import Begun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import Popen

    from headset.core.clock import Clock
    from headset.training.recording import Progress
    from headset.training.search.study import Study, Trial
    from headset.training.tracking import Tracker

EXPERIMENT = "intent-search"

_LOOK_S = 0.3
_SILENT_S = 120.0
_DEATHS = 6
_GRACE_S = 10.0
_UID, _TRACKED = "uid", "tracked"
_TRACKED_DECODER = msgspec.json.Decoder(set[int])


def worker_name(pid: int) -> str:
    """A worker's name: this machine and the process."""
    return f"{platform.node()}:{pid}"


class Leader:
    """Leads one study until enough trials are finished.

    Args:
        study: Begun.
        start: Starts a worker that joins the study.
        tracker: Of the runs.
        uid: Of the study, unlike any other's; used where it has none yet.
        tags: Of its run.
        clock: Dates runs, and tells when workers are silent.
    """

    def __init__(
        self,
        study: Study,
        start: Callable[[], Popen[bytes]],
        tracker: Tracker,
        *,
        uid: str,
        tags: dict[str, str],
        clock: Clock,
    ) -> None:
        self._study = study
        self._start = start
        self._tracker = tracker
        self._clock = clock
        self._workers: list[Popen[bytes]] = []
        self._deaths = 0
        self._heard: dict[int, tuple[int, float]] = {}
        if study.noted(_UID) is None:
            study.note(_UID, uid)
        self._uid = str(study.noted(_UID))
        self._tracked = _TRACKED_DECODER.decode(study.noted(_TRACKED) or "[]")
        self.run_id = tracker.open_run(
            EXPERIMENT, self._uid, Begun(study.name, clock.now(), self._params(), {**tags, "study": study.name})
        )

    def lead(
        self, trials: int, workers: int, *, progress: Progress, say: Callable[[str], None], timeout_s: float | None
    ) -> bool:
        """Go on until ``trials`` are finished; False where time ran out before.

        However it ends, no worker is left, and a trial that was running waits.

        Raises:
            StorageFailed: the store of studies or MLflow is gone.
            HeadsetError: workers die without finishing anything.
        """
        began, waiting, best = self._clock.monotonic(), threading.Event(), None
        self._study.note(TRIALS, str(trials))
        self._give_back_what_the_dead_had()
        try:
            while True:
                known = self._study.trials()
                done = [trial for trial in known if trial.finished]
                self._track(done)
                best = self._tell_best(done, best, say)
                progress("trials", min(len(done) / trials, 1.0))
                if len(done) >= trials:
                    return True
                if timeout_s is not None and self._clock.monotonic() - began > timeout_s:
                    return False
                if len(done) == len(known):
                    self._study.propose(trials)
                self._keep_at_work(known, min(workers, trials - len(done)))
                waiting.wait(_LOOK_S)
        finally:
            self._stop()

    def close(self, metrics: dict[str, list[float]], report: Path) -> None:
        """End the run of the study with what the search found."""
        self._tracker.close_run(self.run_id, ended=self._clock.now(), metrics=metrics, state="FINISHED", report=report)

    def _tell_best(self, done: list[Trial], known: Trial | None, say: Callable[[str], None]) -> Trial | None:
        best = best_of(done, higher_is_better=self._study.settings.request.higher_is_better)
        if best is not None and (known is None or best.number != known.number):
            metric = self._study.settings.request.metric
            say(f"best so far: trial {best.number}, {metric} {best.value:.4f}, {shown(best)}")
        return best

    def _track(self, done: list[Trial]) -> None:
        """Each finished trial as a run inside the study's; a run is found again by its key, so it is made once."""
        fresh = [trial for trial in done if trial.number not in self._tracked]
        for trial in fresh:
            now = self._clock.now()
            begun = Begun(
                f"trial {trial.number}",
                now - round((trial.duration_s or 0) * 1_000_000),
                {name: str(value) for name, value in asdict(trial.recipe).items()},
                {"study": self._study.name, "state": trial.state, "problem": trial.problem},
                self.run_id,
            )
            key = f"{self._uid}/{trial.number}"
            by_fold = {name: [fold[name] for fold in trial.folds] for name in (trial.folds[0] if trial.folds else {})}
            metrics = {f"fold_{name}": values for name, values in by_fold.items()}
            metrics |= {name: [sum(values) / len(values)] for name, values in by_fold.items()}
            state = {"complete": "FINISHED", "pruned": "KILLED"}.get(trial.state, "FAILED")
            self._tracker.close_run(
                self._tracker.open_run(EXPERIMENT, key, begun), ended=now, metrics=metrics, state=state
            )
            self._tracked.add(trial.number)
        if fresh:
            self._study.note(_TRACKED, msgspec.json.encode(self._tracked, order="sorted").decode())

    def _keep_at_work(self, known: list[Trial], workers: int) -> None:
        """Start what is missing, and let wait again what dead or silent workers had."""
        running = [trial for trial in known if trial.state == "running"]
        for worker in [each for each in self._workers if each.poll() is not None]:
            self._workers.remove(worker)
            had = [trial for trial in running if trial.worker == worker_name(worker.pid)]
            for trial in had:
                self._study.take_back(trial.number)
            self._deaths += 1
            if self._deaths > _DEATHS + sum(trial.finished for trial in known):
                raise HeadsetError(
                    f"workers of study {self._study.name!r} end without finishing a trial (the last with code"
                    f" {worker.poll()}); their messages are above"
                )
        now = self._clock.monotonic()
        for trial in running:
            beat, since = self._heard.get(trial.number, (-1, now))
            if beat != trial.beat:
                self._heard[trial.number] = trial.beat, now
            elif now - since > _SILENT_S:
                self._heard.pop(trial.number)
                self._study.take_back(trial.number)
        while len(self._workers) < workers:
            self._workers.append(self._start())

    def _give_back_what_the_dead_had(self) -> None:
        here = worker_name(0).removesuffix("0")
        for trial in self._study.trials():
            if trial.state == "running" and trial.worker.startswith(here) and not _lives(trial.worker):
                self._study.give_back(trial.number, trial.worker)

    def _stop(self) -> None:
        """End all workers; what they were at waits for the next time."""
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            try:
                worker.wait(_GRACE_S)
            except TimeoutExpired:
                worker.kill()
                worker.wait()
        names = {worker_name(worker.pid) for worker in self._workers}
        self._workers.clear()
        with suppress(HeadsetError):  # where the store is what failed, this is done when the study goes on
            for trial in self._study.trials():
                if trial.state == "running" and trial.worker in names:
                    self._study.give_back(trial.number, trial.worker)

    def _params(self) -> dict[str, str]:
        settings = self._study.settings
        asked: dict[str, object] = asdict(settings.request)
        space = msgspec.json.encode(settings.space).decode()
        return {name: str(value) for name, value in asked.items()} | {"space": space}


def best_of(trials: list[Trial], *, higher_is_better: bool) -> Trial | None:
    """The best complete trial, the first of equals; None where there is none."""
    complete = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    sign = 1 if higher_is_better else -1
    return max(complete, key=lambda trial: (sign * (trial.value or 0.0), -trial.number), default=None)


def shown(trial: Trial) -> str:
    """What was drawn for a trial, for people."""
    if trial.number == 0:
        return "the shipped recipe"
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in trial.drawn.items()
    )


@contextmanager
def leading_alone(home: Path, name: str) -> Iterator[None]:
    """Hold the one place from which a study may be led in ``home``; the kernel gives it back however that ends.

    Raises:
        Conflict: another process leads it.
        StorageFailed: the folder cannot be used.
    """
    path = home / f"tune-{name.encode().hex()[:200]}.lock"
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)
    except OSError as error:
        raise StorageFailed(f"{home} cannot be used as the home folder ({error}); choose one with --home") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                "name", f"study {name!r} is running in another process; join it with 'headset tune join {name}'"
            ) from None
        yield


def _lives(worker: str) -> bool:
    """Whether a worker of this machine still runs; one that nobody buried does not."""
    pid = worker.rpartition(":")[2]
    try:
        os.kill(int(pid), 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, ValueError):
        return False
    except OSError:  # another user's, or no such folder on this system
        return True
