"""Searches by the command line, with workers that are really killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from random import Random

import pytest

from headset import cli
from headset.app import open_installation
from headset.core.config import load_config
from headset.data.importer import import_items
from headset.data.row import Row
from headset.training.recipe import SHIPPED, read_recipe
from headset.training.search.job import open_study
from headset.training.tracking import mlflow

pytestmark = pytest.mark.slow

_SPACE = "penalty = {low = 0.05, high = 2.0}\ncharacters = [[2, 3], [3, 4]]\n"
_TRIALS = 6


@pytest.fixture
def home(tmp_path):
    random, home = Random(7), tmp_path / "home"
    words = ("card", "bill", "phone", "parcel")
    rows = [
        Row(
            number,
            f"{random.choice(('my', 'the', 'your'))} {words[number % 4]} {random.getrandbits(20):x}",
            words[number % 4],
        )
        for number in range(80)
    ]
    with open_installation(load_config(home, {})) as parts:
        import_items(rows, "shop", log=parts.log, door=parts.door, clock=parts.clock)
        import_items(rows[::4], "one", log=parts.log, door=parts.door, clock=parts.clock)
    (tmp_path / "space.toml").write_text(_SPACE)
    return home


@pytest.fixture
def command(home, tmp_path):
    return [
        sys.executable, "-m", "headset", "tune", "intent", "--data", "shop", "--trials", str(_TRIALS), "--workers", "2",
        "--folds", "2", "--batch", "3", "--space", str(tmp_path / "space.toml"), "--home", str(home), "--json",
    ]  # fmt: skip


def trials_of(home):
    study = open_study(home, "", "intent-shop")
    study.join()
    return study.trials()


def begun(home):
    """The trials so far; none while the store is being made."""
    try:
        return trials_of(home)
    except Exception:  # noqa: BLE001 - whatever a half-made store gives
        return []


def test_a_search_killed_midway_goes_on_without_losing_or_repeating_a_trial(home, command, tmp_path):
    first = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not any(trial.state == "running" for trial in begun(home)) or not any(t.finished for t in begun(home)):
        assert first.poll() is None, "it ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    before = trials_of(home)
    for trial in before:
        if trial.state == "running":  # its worker, too, which has a session of its own
            with suppress(ProcessLookupError):
                os.kill(int(trial.worker.rpartition(":")[2]), signal.SIGKILL)
    out = tmp_path / "recipe.toml"
    again = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    report = json.loads(again.stdout)
    after = trials_of(home)
    assert [trial.number for trial in after] == list(range(_TRIALS))
    assert all(trial.finished for trial in after)
    assert [(trial.number, trial.drawn) for trial in after[: len(before)]] == [
        (trial.number, trial.drawn) for trial in before
    ]
    for old, new in zip(before, after, strict=False):
        if old.finished:
            assert (new.state, new.value, new.duration_s) == (old.state, old.value, old.duration_s)
    assert (report["state"], report["went_on"]) == ("finished", True)
    assert Counter(trial.state for trial in after)["complete"] == report["complete"]
    assert read_recipe(out) == after[report["best"]].recipe
    _check_runs(home, report, after)
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert json.loads(finished.stdout) == report


def _check_runs(home, report, trials):
    """One run per trial, inside the run of the study."""
    client = mlflow.MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("intent-search").experiment_id
    runs = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{report['run_id']}'")
    assert sorted(run.info.run_name for run in runs) == sorted(f"trial {trial.number}" for trial in trials)
    parent = client.get_run(report["run_id"])
    assert parent.info.status == "FINISHED"
    assert {"search.html", "history.png"} <= {file.path for file in client.list_artifacts(report["run_id"])}
    shipped = next(run for run in runs if run.info.run_name == "trial 0")
    assert shipped.data.params["penalty"] == str(SHIPPED.penalty)
    assert shipped.data.metrics["macro_f1"] == pytest.approx(trials[0].value)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (["--data", "nothing"], "holds no labelled text"),
        (["--data", "one"], "has one intent"),
        (["--trials", "0"], "trials: is 0; it goes from 1"),
        (["--workers", "0"], "workers: is 0"),
        (["--metric", "beauty"], "metric: is 'beauty'"),
        (["--folds", "1"], "folds: is 1"),
        (["--timeout", "0"], "timeout: is 0"),
        (["--space", "nowhere.toml"], "nowhere.toml is not there"),
    ],
)
def test_what_cannot_be_searched_is_refused(home, command, changes, problem, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["headset", *command[3:], *changes])
    mask = os.umask(0o022)
    with pytest.raises(SystemExit) as left:
        cli.main()
    os.umask(mask)
    assert left.value.code == 2
    assert problem in json.loads(capsys.readouterr().out)["error"]
