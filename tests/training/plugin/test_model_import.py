"""What is kept of a model's answers while it is measured, and whose word counts for a pickle."""

from __future__ import annotations

import json
import weakref

import numpy as np
import pytest

from headset.core.errors import InvalidInput
from headset.data.dataset import Dataset
from headset.events.schema import ModelRegistered
from headset.registry.artifact import digests, write_manifest
from headset.registry.hosted import FORMAT, HostedManifest
from headset.registry.output import Output
from headset.registry.scorer import Scores
from headset.registry.signature import TEXT_SIGNATURE
from headset.training.intent_job import portable
from headset.training.plugin.mlflow_draft import MlflowDraft
from headset.training.plugin.model_import import measured


class Watched:
    """Always answers ``a``, and counts the answers that are still kept when it is asked again."""

    labels, threshold = ("a", "b"), 0.5

    def __init__(self):
        self.given, self.kept = [], 0

    def score(self, texts, embeddings):
        self.kept = max(self.kept, sum(each() is not None for each in self.given))
        probabilities = np.tile([0.75, 0.25], (len(texts), 1))
        self.given.append(weakref.ref(probabilities))
        return Scores(probabilities, np.zeros(len(texts)))


def test_no_more_than_one_batch_of_probabilities_is_kept_at_a_time(encoder):
    rows = 1_500
    texts, labels = ("hello",) * rows, ("a", "b", "c") * (rows // 3)
    model = Watched()
    found = measured(model, Dataset("d", texts, labels, ("1#1",) * rows, "f"), encoder, lambda *_: None)
    assert len(model.given) >= 5
    assert model.kept <= 1
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert found["macro_f1"] == pytest.approx(0.5 / 3)
    assert found["automatic_ratio"] == 1.0


def test_a_pickle_that_an_export_vouches_for_itself_is_refused(tmp_path):
    from headset.training.tracking import save_model  # noqa: PLC0415 - takes seconds

    artifact = tmp_path / "crafted"
    (artifact / "mlflow").mkdir(parents=True)
    (artifact / "mlflow" / "weights").write_bytes(b"a pickle in disguise")
    manifest = HostedManifest(
        format=FORMAT,
        kind="mlflow",
        labels=("a", "b"),
        threshold=0.5,
        output=Output("margins"),
        signature=TEXT_SIGNATURE,
        sha256=digests(artifact, ["mlflow/weights"]),
        trusted_pickle="its maker says so",
    )
    sha256 = write_manifest(artifact, manifest)
    made = ModelRegistered(
        model="intent",
        version="1",
        artifact_sha256=sha256,
        run_id="",
        dataset="imported",
        data_fingerprint="",
        commit="unknown",
        seed=0,
        metrics={},
        encoder_version="static",
        signature=TEXT_SIGNATURE,
        data_position=0,
        request="{}",
    )
    save_model(portable(made, artifact, champion=False), tmp_path / "export")
    with pytest.raises(InvalidInput, match="--trust-pickle REASON"):
        MlflowDraft(tmp_path / "export", tmp_path / "refused", "").unwrap()
    vouched = MlflowDraft(tmp_path / "export", tmp_path / "vouched", "our own")
    assert vouched.unwrap() == ("static", sha256)
    assert json.loads((vouched.folder / "manifest.json").read_bytes())["trusted_pickle"] == "its maker says so"
