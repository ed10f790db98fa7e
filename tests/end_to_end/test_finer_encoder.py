"""A queue decided by a model with the finer encoder, on a real server, and what happens when the encoder is gone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from headset.app import open_installation
from headset.app.models import text_model
from headset.core.config import load_config

pytestmark = pytest.mark.slow

TEXT = "where is my parcel"
PREDICT = f"""
import sys, mlflow.pyfunc, pandas as pd
print(list(mlflow.pyfunc.load_model(sys.argv[1]).predict(pd.DataFrame({{"text": [{TEXT!r}]}}))["confidence"]))
"""


@pytest.fixture
def fine(home, minilm_folder, crown):
    """A champion of the model ``fine``, which reads the finer encoder and decides in the queue ``email``."""
    shutil.copytree(minilm_folder, home / "encoders")
    (home / "headset.toml").write_text('[decision]\nqueue_models = { email = "fine" }\n', "utf-8")
    (home / "fine.toml").write_text('encoder = "minilm"\n', "utf-8")

    def make(headset):
        recipe = str(home / "fine.toml")
        done = headset("train", "intent", "--data", "starter", "--as", "fine", "--recipe", recipe, "--json")
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        with open_installation(load_config(home, {})) as parts:
            if parts.registry.champion("fine") is None:
                crown(parts.registry, report["version"], "fine")
            return parts.registry.champion("fine").made

    return make


def decided(client, queue, conversation):
    body = {"text": "where is my parcel", "queue": queue}
    answer = client.post(f"/v1/conversations/{conversation}/turns", json=body).raise_for_status().json()
    assert not answer["degraded"]
    return answer["intent"]


def models_of(home):
    with open_installation(load_config(home, {})) as parts:
        served = parts.log.read(limit=100_000, types=("DecisionServed",))
        return {each.event.conversation_id: each.event.payload.model for each in served}


def test_a_queue_is_decided_by_the_finer_model_and_by_the_usual_one_once_the_encoder_is_gone(
    home, start, headset, fine
):
    made = fine(headset)
    assert made.encoder_version.startswith("minilm-")
    _comes_back_with_its_encoder(headset, home)
    again = headset("train", "again", "--model", "fine")
    assert (again.returncode, "the same files" in again.stdout) == (0, True), again.stdout + again.stderr

    server = start()
    with server.client() as client:
        assert client.get("/readyz").json()["replaced"] == {}
        assert decided(client, "email", "c-1")
        assert decided(client, "chat", "c-2")
    server.stop()
    models = models_of(home)
    assert (models["c-1"], models["c-2"]) == ("fine", "intent")

    shutil.rmtree(home / "encoders")
    server = start()
    with server.client() as client:
        replaced = client.get("/readyz").json()["replaced"]
        assert "headset encoders build minilm" in replaced["email"]
        assert decided(client, "email", "c-3")
    printed = server.stop()
    assert models_of(home)["c-3"] == "intent"
    assert printed.count("the champion of model 'fine' cannot be used") == 1


def _comes_back_with_its_encoder(headset, home):
    """The export carries the finer encoder, runs without a home, and is measured with it when it comes back."""
    out = home.parent / "exported"
    done = headset("models", "export", "champion", str(out), "--model", "fine")
    assert done.returncode == 0, done.stderr
    done = subprocess.run([sys.executable, "-c", PREDICT, out], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)
    done = headset("models", "import", str(out), "--as", "back", "--data", "starter", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["metrics"]["accuracy"] > 0.8
    with open_installation(load_config(home, {})) as parts:
        known = parts.registry.get("back", "1")
        assert known.made.encoder_version.startswith("minilm-")
        scores = text_model(parts, known).score([TEXT], parts.encoders.of(known).encode([TEXT]))
    assert answer == pytest.approx(scores.probabilities.max())
