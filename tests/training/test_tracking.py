from __future__ import annotations

import json
import os

import pandas as pd
import pytest

from headset.core.errors import StorageFailed
from headset.training.intent_job import SIGNATURE
from headset.training.recording import without_password
from headset.training.tracking import Begun, Portable, Run, Tracker, mlflow

CODE = """
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel


class Parrot(PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None):
        return model_input


set_model(Parrot())
"""


@pytest.fixture(scope="module")
def tracker(tracking_uri, tmp_path_factory):
    return Tracker(tracking_uri, tmp_path_factory.mktemp("artifacts"))


@pytest.fixture
def run(tmp_path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "table.csv").write_text("a,b\n")
    return Run(
        "parrot", 1_000_000, 61_000_000, {"seed": "7"}, {"accuracy": 0.5}, {"commit": "abc"}, tmp_path / "report"
    )


@pytest.fixture
def portable(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"1")
    (tmp_path / "parrot.py").write_text(CODE)
    return Portable(
        tmp_path / "parrot.py", tmp_path / "model", SIGNATURE, {}, ("headset",), "champion", {"text": ["hello"]}
    )


@pytest.fixture
def client(tracking_uri):
    return mlflow.MlflowClient(tracking_uri, tracking_uri)


def test_a_run_is_kept_with_its_times_and_files(tracker, run, portable, client):
    before = mlflow.get_tracking_uri()
    with tracker.record(run, portable) as run_id:
        pass
    kept = client.get_run(run_id)
    assert (kept.info.status, kept.info.start_time, kept.info.end_time) == ("FINISHED", 1_000, 61_000)
    assert (kept.data.params, kept.data.metrics, kept.data.tags["commit"]) == ({"seed": "7"}, {"accuracy": 0.5}, "abc")
    assert [file.path for file in client.list_artifacts(run_id)] == ["table.csv"]
    version = client.get_model_version_by_alias("parrot", "champion")
    assert (version.run_id, version.status) == (run_id, "READY")
    assert mlflow.pyfunc.load_model(version.source).predict(pd.DataFrame({"text": ["hi"]}))["text"][0] == "hi"
    assert mlflow.get_tracking_uri() == before


def test_a_run_whose_maker_was_killed_while_beginning_it_is_completed(tracker, client, monkeypatch):
    begun = Begun("trial 0", 1_000_000, {"penalty": "0.3", "words": "1"}, {})

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tracker._client, "log_batch", die)
        with pytest.raises(KeyboardInterrupt):
            tracker.open_run("search", "0", begun)
    run_id = tracker.open_run("search", "0", begun)
    assert tracker.open_run("search", "0", begun) == run_id
    assert client.get_run(run_id).data.params == begun.params
    place = client.get_experiment_by_name("search").experiment_id
    assert [each.info.run_id for each in client.search_runs([place])] == [run_id]


def test_a_fetch_asks_its_own_store_whatever_the_process_is_set_to(tracker, run, portable, tmp_path, monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    with tracker.record(run, portable):
        pass
    assert any(tracker.fetch(f"models:/{run.model}@champion", tmp_path / "whole").rglob("weights"))
    assert tracker.fetch(f"models:/{run.model}@champion/MLmodel", tmp_path / "part").is_file()
    assert {os.environ[name] for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")} == {"http://127.0.0.1:9"}
    assert (mlflow.get_tracking_uri(), mlflow.get_registry_uri()) == before


@pytest.mark.slow
def test_a_run_is_kept_on_postgresql(postgres_database, run, portable, tmp_path):
    with Tracker(postgres_database, tmp_path / "artifacts").record(run, portable) as run_id:
        pass
    again = Tracker(postgres_database)
    assert again.open_run("parrot", "1", Begun("other", 0, {}, {})) != run_id
    assert any(again.fetch(f"models:/{run.model}@champion", tmp_path).rglob("weights"))


def test_a_failed_registration_takes_the_version_back(tracker, run, portable, client):
    def versions():
        return [version.version for version in client.search_model_versions("name = 'parrot'")]

    def register(run_id):
        failed.append(run_id)
        raise StorageFailed("the disk is full")

    before, failed = versions(), []
    with pytest.raises(StorageFailed, match="the disk is full"), tracker.record(run, portable) as run_id:
        register(run_id)
    assert versions() == before
    assert client.get_run(failed[0]).info.status == "FAILED"


@pytest.mark.parametrize("uri", ["http://ann:secret@127.0.0.1:9/", "ftp://ann:secret@tracking"])
def test_a_store_that_does_not_answer_is_named_without_its_password(uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(StorageFailed) as failure:
        Tracker(uri)
    assert without_password(uri) in str(failure.value)
    assert "secret" not in str(failure.value)


def test_an_unwritable_artifact_folder_is_a_failure_of_the_store(tracking_uri, run, portable, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    tracker = Tracker(tracking_uri, tmp_path / "file" / "artifacts")
    with (
        pytest.raises(StorageFailed, match="nothing was registered"),
        tracker.record(Run(**run_fields(run) | {"model": "elsewhere"}), portable),
    ):
        pytest.fail("must not be entered")


def test_the_signature_is_in_the_form_mlflow_keeps(tracker):
    signature = mlflow.models.ModelSignature.from_dict(json.loads(SIGNATURE))
    assert signature.inputs.input_names() == ["text"]
    assert signature.outputs.input_names() == ["intent", "confidence", "in_scope", "automatic"]


def run_fields(run):
    return {name: getattr(run, name) for name in run.__struct_fields__}
