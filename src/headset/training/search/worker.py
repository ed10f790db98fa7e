"""A process that makes trials: it takes one that waits, evaluates it fold by fold, and takes the next."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from headset.core.errors import HeadsetError, StorageFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headset.training.search.objective import Objective
    from headset.training.search.study import Study, Trial

TRIALS = "trials"
"""Under this name a study keeps how many trials are wanted."""

_BEAT_S = 10.0
_LOOK_S = 0.5


def work(study: Study, objective: Objective, name: str) -> int:
    """Make trials until as many as are wanted are finished; gives how many were made here.

    Args:
        study: Joined or begun.
        objective: Judges recipes.
        name: Of this worker, unlike any other's.

    Raises:
        StorageFailed: the store is gone. The trial that was running waits for another worker.
    """
    made, idle = 0, threading.Event()
    while True:
        trial = study.claim(name)
        if trial is not None:
            _try(study, objective, trial)
            made += 1
        elif sum(each.finished for each in study.trials()) >= int(study.noted(TRIALS) or 0):
            return made
        else:
            idle.wait(_LOOK_S)


def _try(study: Study, objective: Objective, trial: Trial) -> None:
    """Evaluate one trial to its end; where this process is told to stop, the trial is given back."""
    request = study.settings.request
    folds: list[dict[str, float]] = []
    try:
        with _beating(study, trial.number):
            for fold in range(request.folds):
                folds.append(objective.fold(trial.recipe, fold))
                if study.keep_fold(trial.number, folds):
                    study.finish(trial.number, "pruned", None)
                    return
        study.finish(trial.number, "complete", float(np.mean([fold[request.metric] for fold in folds])))
    except (HeadsetError, KeyboardInterrupt, SystemExit):
        study.give_back(trial.number, trial.worker)
        raise
    except Exception as error:  # noqa: BLE001 - whatever a library raises at a recipe: the trial failed, the study goes on
        study.finish(trial.number, "failed", None, f"{type(error).__name__}: {error}"[:300])


@contextmanager
def _beating(study: Study, number: int) -> Iterator[None]:
    """Show from a thread that this process lives."""
    ended = threading.Event()

    def beat() -> None:
        for each in count(1):
            if ended.wait(_BEAT_S):
                return
            with suppress(StorageFailed):  # the next beat tries again
                if not study.beat(number, each):
                    return

    thread = threading.Thread(target=beat, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
