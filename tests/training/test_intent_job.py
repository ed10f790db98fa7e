from __future__ import annotations

import os
from io import StringIO
from pathlib import Path
from random import Random
from unittest import mock

import msgspec
import pandas as pd
import pytest
from rich.console import Console

from headset.core.clock import ManualClock
from headset.core.errors import InvalidInput, NotFound, StorageFailed
from headset.events.past import Past
from headset.registry.confusion import find_confusion, read_confusion
from headset.registry.scorer import Scorer
from headset.training.intent_job import MODEL, repeat_intent
from headset.training.recipe import Recipe, read_request
from headset.training.report import TrainingReport, render
from headset.training.tracking import mlflow

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(open_home, examples):
    home = open_home()
    home.add("telecom", examples)
    return home


@pytest.fixture(scope="module")
def first(home):
    """The first training, on a machine without Git."""
    with mock.patch.dict(os.environ, {"PATH": ""}):
        return home.train("telecom")


@pytest.fixture(scope="module")
def run(first, tracking_uri):
    return mlflow.MlflowClient(tracking_uri).get_run(first.report.run_id)


@pytest.fixture(scope="module")
def noise(open_home, examples):
    """Labels that say nothing about their texts."""
    random = Random(7)
    home = open_home()
    home.add("noise", [(text, random.choice(("a", "b", "c"))) for text, _ in examples[:120]])
    return home


def test_the_first_that_beats_its_baseline_becomes_champion(home, first):
    champion = home.registry.champion(MODEL)
    assert (first.report.champion, champion.version, first.report.version) == (True, "1", "1")
    assert first.report.comparison.beaten
    assert "Version 1 is the first champion" in first.report.verdict
    (promotion,) = home.log.read(types=["Promoted"])
    assert "beats" in promotion.event.payload.reason
    assert "passed baseline" in promotion.event.payload.evidence


def test_a_version_says_how_it_was_made(home, first):
    made = home.registry.champion(MODEL).made
    report = first.report
    assert (made.dataset, made.seed, made.commit, made.run_id) == ("telecom", 7, "c0ffee", report.run_id)
    assert (made.artifact_sha256, made.data_fingerprint) == (report.artifact_sha256, report.data_fingerprint)
    assert made.metrics == report.metrics


def test_the_figures_fit_together(first):
    report = first.report
    assert report.refitted
    assert report.metrics["accuracy_low"] < report.metrics["accuracy"] < report.metrics["accuracy_high"]
    assert report.metrics["accuracy"] == report.comparison.accuracy
    wrong = round(report.test_rows * (1 - report.metrics["accuracy"]))
    assert sum(pair.count for pair in report.confused) <= wrong


def test_training_says_nothing_by_itself(first):
    assert first.said == ""


def test_progress_of_every_phase_ends_at_one(first):
    assert [parts[-1] for parts in first.phases.values()] == [1.0] * len(first.phases)
    assert all(parts == sorted(parts) for parts in first.phases.values())
    assert {"read the data", "calibrate", "measure", "track", "register"} <= first.phases.keys()


def test_mlflow_keeps_everything_about_the_run(first, run, tracking_uri):
    report = first.report
    assert run.data.metrics == pytest.approx(report.metrics)
    assert run.data.params["dataset"] == "telecom"
    assert run.data.params["target_precision"] == "0.9"
    kept = run.data.tags
    assert kept["data_fingerprint"] == report.data_fingerprint
    assert (kept["mlflow.source.git.commit"], kept["seed"]) == ("c0ffee", "7")
    assert {"version.headset", "version.python", "version.scikit-learn"} <= kept.keys()
    files = mlflow.MlflowClient(tracking_uri).list_artifacts(report.run_id)
    assert {"confusion.png", "confusion.json", "confused_pairs.csv"} <= {file.path for file in files}


def test_the_test_rows_are_kept_with_the_version(home, first, tracking_uri):
    report = first.report
    seen = find_confusion(home.registry, MODEL, "champion")
    assert list(seen.intents) == report.labels
    assert sum(map(sum, seen.counts)) == report.test_rows
    right = sum(map(len, seen.right))
    assert right / report.test_rows == pytest.approx(report.metrics["accuracy"])
    confident = sum(value >= seen.threshold for some in (*seen.right, *seen.wrong) for value in some)
    assert confident / report.test_rows == pytest.approx(report.metrics["automatic_ratio"], abs=1 / report.test_rows)
    tracked = mlflow.artifacts.download_artifacts(
        run_id=report.run_id, artifact_path="confusion.json", tracking_uri=tracking_uri
    )
    assert read_confusion(Path(tracked)) == seen


def test_mlflow_has_the_same_champion(first, tracking_uri):
    client = mlflow.MlflowClient(tracking_uri, tracking_uri)
    assert client.get_model_version_by_alias(MODEL, "champion").run_id == first.report.run_id


def test_any_mlflow_user_gets_the_scorers_answers(home, first, examples, encoder, tracking_uri):
    texts = [text for text, _ in examples[:50]]
    mlflow.set_tracking_uri(tracking_uri)
    try:
        portable = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")
    finally:
        mlflow.set_tracking_uri(None)
    answers = portable.predict(pd.DataFrame({"text": texts}))
    scorer = Scorer.load(home.registry.artifact(MODEL, first.report.version))
    scores = scorer.score(texts, encoder.encode(texts))
    assert list(answers["intent"]) == [scorer.labels[column] for column in scores.probabilities.argmax(axis=1)]
    assert list(answers["confidence"]) == list(scores.probabilities.max(axis=1))
    assert portable.metadata.signature.inputs.input_names() == ["text"]
    assert portable.metadata.signature.outputs.input_names() == list(answers.columns)


def test_no_text_of_a_customer_is_in_the_tracked_files(home, first, run, examples):
    written = b"".join(
        path.read_bytes() for path in (home.folder / "mlruns").rglob("*") if path.suffix != ".json" and path.is_file()
    )
    assert written
    assert [text for text, _ in examples if len(text) > 25 and text.encode() in written] == []


def test_training_again_gives_the_same_artifact_and_leaves_the_champion(home, first):
    again = home.train("telecom").report
    assert again.artifact_sha256 == first.report.artifact_sha256
    assert (again.version, again.champion) == ("2", False)
    assert home.registry.champion(MODEL).version == "1"
    assert "Version 1 stays champion" in again.verdict
    assert "headset models compare 1 2'" in again.verdict


def test_a_model_of_another_name_has_versions_and_a_champion_of_its_own(home, first, encoder):
    made = home.train("telecom", name="fine").report
    assert (made.model, made.version, made.champion) == ("fine", "1", True)
    known = home.registry.champion("fine")
    assert known.made.artifact_sha256 == first.report.artifact_sha256
    request = read_request(known.made.request, "version 1")
    again = repeat_intent(
        log=home.log,
        vault=home.vault,
        encoder=encoder,
        home=home.folder,
        request=request,
        clock=ManualClock(0),
        progress=lambda *_: None,
    )
    assert (request.name, again) == ("fine", made.artifact_sha256)
    assert home.registry.champion(MODEL).version == first.report.version
    assert "models compare 1 2 --model fine" in home.train("telecom", name="fine").report.verdict


@pytest.mark.parametrize("name", ["", "Fine", "../up", "a b", "1st", "f" * 65])
def test_a_name_that_is_no_models_name_is_refused(home, name):
    with pytest.raises(InvalidInput, match="is no name of a model"):
        home.train("telecom", name=name)


def test_a_separate_test_set_is_not_learned_from(open_home, examples):
    home = open_home()
    home.add("train", examples[::2])
    home.add("test", [*examples[1::2], ("something else entirely", "an_intent_never_learned")])
    report = home.train("train", test="test").report
    assert (report.rows, report.test_rows, report.refitted) == (120, 121, False)
    assert "an_intent_never_learned" not in report.labels
    assert any(pair.intent == "an_intent_never_learned" for pair in report.confused)
    seen = find_confusion(home.registry, MODEL, "1")
    assert (sum(map(sum, seen.counts)), seen.unlearned) == (120, 1)


def test_a_model_that_does_not_beat_its_baseline_serves_nobody(noise, tracking_uri):
    client = mlflow.MlflowClient(tracking_uri, tracking_uri)
    report = noise.train("noise").report
    assert not report.champion
    assert noise.registry.champion(MODEL) is None
    assert noise.registry.get(MODEL, "1").aliases == []
    assert "does not beat" in report.verdict
    versions = client.search_model_versions(f"run_id = '{report.run_id}'")
    assert [version.aliases for version in versions] == [[]]


def test_without_its_store_nothing_is_registered(noise, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = noise.log.head()
    with pytest.raises(StorageFailed, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        noise.train("noise", tracking_uri="http://127.0.0.1:9")
    assert noise.log.head() == before
    assert list(noise.folder.glob(".training-*")) == []


def test_unknown_data_is_refused_with_the_names_there_are(noise):
    with pytest.raises(NotFound, match="there are: noise"):
        noise.train("telecom")
    with pytest.raises(NotFound, match="test: 'telecom' holds no labelled text"):
        noise.train("noise", test="telecom")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"target_precision": float("nan")}, "precision: is nan"),
        ({"target_precision": 1.0}, "precision: is 1.0"),
        ({"seed": -1}, "seed: is -1; it goes from 0 to 4294967295"),
        ({"test": "noise"}, "test: 'noise' is what the model learns from"),
    ],
)
def test_a_setting_out_of_range_is_refused(noise, change, problem):
    with pytest.raises(InvalidInput) as refusal:
        noise.train("noise", **change)
    assert problem in str(refusal.value)


def test_the_report_reads_well_and_travels(first):
    console = Console(width=100, record=True, file=StringIO())
    console.print(render(first.report))
    page = console.export_text()
    assert "intent version 1, the champion" in page
    assert "exact McNemar p =" in page
    assert msgspec.json.decode(msgspec.json.encode(first.report), type=TrainingReport) == first.report


def test_a_version_is_made_again_from_its_record(open_home, examples, encoder):
    home = open_home()
    home.add("mine", examples)
    report = home.train("mine", seed=11, recipe=Recipe(words=(1, 1), characters=(2, 4), penalty=0.7)).report
    home.add("mine", [(f"another word {number} about my parcel", "parcel") for number in range(20)])
    made = home.registry.get(MODEL, report.version).made

    def repeat(position):
        return repeat_intent(
            log=Past(home.log, position),
            vault=home.vault,
            encoder=encoder,
            home=home.folder,
            request=read_request(made.request, "version 1"),
            clock=ManualClock(0),
            progress=lambda *_: None,
        )

    assert repeat(made.data_position) == report.artifact_sha256
    assert repeat(home.log.head()) != report.artifact_sha256
    assert len(home.registry.versions(MODEL)) == 1


def test_a_version_without_a_request_cannot_be_made_again():
    with pytest.raises(InvalidInput, match="version 1 does not say how it was trained"):
        read_request("", "version 1")
