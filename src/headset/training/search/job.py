"""``headset tune intent``: from a data set in the log to a recipe that is, or is not, better than the shipped one."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from headset.core.errors import HeadsetError, InvalidInput, NotFound
from headset.data.dataset import read_dataset
from headset.page.document import render
from headset.training.search.objective import Objective
from headset.training.search.page import draw_all, make_page
from headset.training.search.report import SearchReport, fold_differences, verdict
from headset.training.search.request import Settings, check_trials
from headset.training.search.run import Leader, best_of, leading_alone, worker_name
from headset.training.search.study import Study
from headset.training.search.worker import work
from headset.training.split import check_trainable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from subprocess import Popen

    from headset.core.clock import Clock
    from headset.data.dataset import Dataset
    from headset.events.log import Log
    from headset.events.vault import Vault
    from headset.features.encoder import Encoder
    from headset.training.recording import Progress
    from headset.training.search.request import SearchRequest
    from headset.training.search.space import Space
    from headset.training.search.study import Trial

    Encoders = Mapping[str, Callable[[], Encoder]]

_WORKERS = 256
_REPORT = "report"
_REPORT_DECODER = msgspec.json.Decoder(SearchReport)


class Found(Struct, frozen=True):
    """What a search found, and the same as a page (HTML)."""

    report: SearchReport
    html: str


def search_recipe(  # noqa: PLR0913 - stores, clock, processes and settings come in as arguments
    *,
    log: Log,
    vault: Vault,
    encoders: Encoders,
    home: Path,
    storage: str,
    tracking_uri: str,
    request: SearchRequest,
    space: Space,
    name: str,
    trials: int,
    workers: int,
    timeout_s: float | None,
    start: Callable[[], Popen[bytes]],
    uid: str,
    commit: str,
    clock: Clock,
    progress: Progress,
    say: Callable[[str], None],
) -> Found:
    """Search for a recipe, or go on with a search of this name that was interrupted.

    Args:
        log: Holds the data.
        vault: Opens the texts.
        encoders: What gives each encoder that is installed, by name.
        home: Folder of the stores, unless URLs name others.
        storage: URL of the store of studies; empty for the one in ``home``.
        tracking_uri: An MLflow tracking server or database; empty for the store in ``home``.
        request: What is asked for.
        space: The recipes to try.
        name: Of the study.
        trials: How many recipes to try in all.
        workers: Processes that try them.
        timeout_s: After so long the search stops, and can be gone on with; None for no end.
        start: Starts a worker: ``headset tune join NAME``.
        uid: For a study that begins now.
        commit: The code's, as tracked.
        clock: Dates runs.
        progress: Called with a phase and the fraction of it that is done, 0 to 1.
        say: Called with a sentence whenever a better recipe was found.

    Raises:
        NotFound: there is no data of that name.
        InvalidInput: the data, a setting or the space allows no search.
        Conflict: a study of this name was begun with other settings, or is running.
        StorageFailed: a store cannot be reached or written.
    """
    request.check()
    check_trials(trials)
    if not 1 <= workers <= _WORKERS:
        raise InvalidInput("workers", f"is {workers}; it goes from 1 to {_WORKERS}")
    space.check(tuple(encoders))
    began_s = clock.monotonic()
    progress("read the data", 0.0)
    data, test = _read(log, vault, request)
    check_trainable(data)
    objective = Objective(data, test, request, encoders)
    progress("read the data", 1.0)
    with leading_alone(home, name), closing(open_study(home, storage, name)) as study:
        study.begin(Settings(request=request, space=space, data_fingerprint=data.fingerprint))
        kept = _finished_before(study, trials)
        if kept is not None:
            pictures = draw_all(kept, study.trials())
            return Found(kept, render(make_page(kept, study.trials(), pictures)))
        progress("open MLflow", 0.0)
        from headset.training.tracking import open_tracker  # noqa: PLC0415 - takes seconds

        tracker = open_tracker(home, tracking_uri)
        progress("open MLflow", 1.0)
        tags = {"data_fingerprint": data.fingerprint, "mlflow.source.git.commit": commit}
        leader = Leader(study, start, tracker, uid=uid, tags=tags, clock=clock)
        went_on = any(trial.finished for trial in study.trials())
        finished = leader.lead(trials, workers, progress=progress, say=say, timeout_s=timeout_s)
        progress("compare with the shipped recipe", 0.0)
        report = _report(study, objective, trials)
        progress("compare with the shipped recipe", 1.0)
        report = msgspec.structs.replace(
            report,
            state="finished" if finished else "stopped",
            went_on=went_on,
            run_id=leader.run_id,
            tracking_uri=tracker.uri,
            duration_s=clock.monotonic() - began_s,
        )
        html = _keep(leader, report, study.trials())
        if finished:
            study.note(_REPORT, msgspec.json.encode(report).decode())
    return Found(report, html)


def join_search(
    *,
    log: Log,
    vault: Vault,
    encoders: Encoders,
    home: Path,
    storage: str,
    name: str,
    pid: int,
) -> int:
    """Make trials of a study that another process leads; gives how many were made.

    Raises:
        NotFound: there is no study of this name, or its data is not here.
        InvalidInput: the data here is not the data the study was begun with, or an encoder of its space is missing.
    """
    with closing(open_study(home, storage, name)) as study:
        settings = study.join()
        settings.space.check(tuple(encoders))
        data, test = _read(log, vault, settings.request)
        if data.fingerprint != settings.data_fingerprint:
            raise InvalidInput(
                "data",
                f"{data.name!r} holds other texts than the ones that study {name!r} was begun with; import those",
            )
        return work(study, Objective(data, test, settings.request, encoders), worker_name(pid))


def open_study(home: Path, storage: str, name: str) -> Study:
    """A study in the store of a home folder, or in the one that ``storage`` names."""
    return Study(storage or f"sqlite:///{home.absolute() / 'optuna.db'}", name)


def _read(log: Log, vault: Vault, request: SearchRequest) -> tuple[Dataset, Dataset | None]:
    data = read_dataset(log, vault, request.dataset)
    if request.test is None:
        return data, None
    try:
        return data, read_dataset(log, vault, request.test)
    except NotFound as error:
        raise NotFound("test", error.problem) from None


def _finished_before(study: Study, trials: int) -> SearchReport | None:
    """The report that was kept, where all trials that are wanted now were made then."""
    text = study.noted(_REPORT)
    report = None if text is None else _REPORT_DECODER.decode(text)
    return report if report is not None and report.trials == trials else None


def _report(study: Study, objective: Objective, trials: int) -> SearchReport:
    request, known = study.settings.request, study.trials()
    higher = request.higher_is_better
    best = best_of(known, higher_is_better=higher)
    if best is None or best.value is None:
        problems = {trial.problem for trial in known if trial.problem}
        raise HeadsetError(
            f"no trial of study {study.name!r} is complete"
            + (f": {'; '.join(sorted(problems))[:300]}" if problems else "; give it more time and run it again")
        )
    shipped = known[0]
    complete = shipped.state == "complete"
    compared = best.number != 0 and shipped.state != "failed"
    difference = objective.compare(best.recipe, shipped.recipe) if compared else None
    folds = fold_differences(best, shipped, request.metric, higher_is_better=higher) if complete else []
    return SearchReport(
        study=study.name,
        state="",
        went_on=False,
        dataset=request.dataset,
        rows=objective.rows,
        tested_on=objective.test_name,
        metric=request.metric,
        trials=trials,
        complete=sum(trial.state == "complete" for trial in known),
        pruned=sum(trial.state == "pruned" for trial in known),
        failed=sum(trial.state == "failed" for trial in known),
        best=best.number,
        value=best.value,
        shipped=shipped.value if complete else None,
        fold_differences=folds,
        difference=difference,
        better=difference is not None and difference.beyond_noise,
        verdict=verdict(request.metric, difference, folds, shipped=shipped.state),
        recipe=best.recipe,
        importance=study.importance(),
        run_id="",
        tracking_uri="",
        storage=study.uri,
        seed=request.seed,
        duration_s=0.0,
    )


def _keep(leader: Leader, report: SearchReport, trials: list[Trial]) -> str:
    """The page and its pictures beside the study's run; gives the page."""
    pictures = draw_all(report, trials)
    html = render(make_page(report, trials, pictures))
    done = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    metrics = {report.metric: [trial.value or 0.0 for trial in done], f"best_{report.metric}": [report.value]}
    if report.difference is not None:
        metrics["difference"] = [report.difference.difference]
    with TemporaryDirectory() as folder:
        (Path(folder) / "search.html").write_text(html, "utf-8")
        for name, picture in pictures.items():
            (Path(folder) / name).write_bytes(picture.png)
        leader.close(metrics, Path(folder))
    return html
