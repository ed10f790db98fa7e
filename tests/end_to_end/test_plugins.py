"""A user's own model through the command line and the real server, imports and exports included."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from headset.app import open_installation
from headset.app.models import text_model
from headset.app.serving import predictor, twin_version
from headset.core.config import load_config
from headset.core.errors import ArtifactError

pytestmark = pytest.mark.slow

MODULE = """
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

def build():
    return make_pipeline(TfidfVectorizer(analyzer="char", ngram_range=(2, 4)), LogisticRegression(C=30))
"""
PYFUNC = """
import mlflow
import pandas as pd

class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        intents = ["roaming" if "roam" in text else "device_lost" for text in model_input["text"]]
        return pd.DataFrame({"intent": intents, "confidence": [0.75] * len(intents)})

mlflow.models.set_model(Model())
"""
SAVE = """
import sys, mlflow.pyfunc, pandas as pd
from mlflow.models import infer_signature
where, how = sys.argv[1:]
signature = infer_signature(pd.DataFrame({"text": ["a"]}), pd.DataFrame({"intent": ["a"], "confidence": [0.5]}))
class Pickled(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return pd.DataFrame({"intent": ["roaming"] * len(model_input), "confidence": [0.9] * len(model_input)})
mlflow.pyfunc.save_model(where, python_model=Pickled() if how == "pickled" else how,
                         signature=None if how == "pickled" and where.endswith("unsigned") else signature,
                         pip_requirements=[])
"""
PREDICT = """
import sys, json, mlflow.pyfunc, pandas as pd
answers = mlflow.pyfunc.load_model(sys.argv[1]).predict(pd.DataFrame({"text": json.loads(sys.argv[2])}))
print(json.dumps(answers.to_dict("list"), default=float))
"""
TEXTS = ["I lost my phone", "roaming in Spain", ""]


@pytest.fixture(scope="module")
def plugged_home(trained_home, tmp_path_factory):
    """A home with a version of a user's own model in it, trained once, and what the training said."""
    folder = tmp_path_factory.mktemp("plugged")
    home = shutil.copytree(trained_home, folder / "home")
    source = folder / "my_model.py"
    source.write_text(MODULE)
    command = [sys.executable, "-m", "headset", "train", "intent", "--data", "starter", "--json"]
    command += ["--learner", "my_model:build", "--code", str(folder)]
    environ = {**os.environ, "HEADSET_HOME": str(home)}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    source.write_text("raise RuntimeError('the user went on')")
    return home, json.loads(done.stdout)


@pytest.fixture
def python(tmp_path):
    """Run a script in a fresh process."""

    def run(script, *arguments):
        command = [sys.executable, "-c", script, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def plugged(plugged_home, home):
    trained, report = plugged_home
    shutil.rmtree(home)
    shutil.copytree(trained, home)
    return report


def test_a_users_model_decides_turns_and_outlives_its_process(plugged, home, start, crown):
    assert (plugged["version"], plugged["champion"]) == ("2", False)
    with open_installation(load_config(home, {})) as parts:
        crown(parts.registry, "2")
    with start().client() as client:

        def decide(number):
            turn = {"text": "my phone was stolen, please block the sim card"}
            return client.post(f"/v1/conversations/{number}/turns", json=turn).raise_for_status().json()

        first = decide("before")
        assert (first["model_version"], first["degraded"]) == ("2", False)
        (child,) = _hosts(home)
        os.kill(child, signal.SIGKILL)
        second = decide("killed")
        assert (second["degraded"], second["route"]) == (True, "human")
        deadline, number = time.monotonic() + 300, 0
        while (last := decide(f"after-{number}"))["degraded"]:
            assert time.monotonic() < deadline
            number += 1
            time.sleep(0.2)
        assert (last["intent"], last["model_version"]) == (first["intent"], "2")


def test_it_is_made_again_from_the_sources_on_record_though_the_users_have_changed(plugged, home, headset):
    done = headset("train", "again", "2", "--json", cwd=home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["made"] == plugged["artifact_sha256"]


def test_an_export_is_what_it_was_also_when_it_comes_back(plugged, home, main, python, tmp_path):
    code, out, err = main("models", "export", "2", tmp_path / "out")
    assert code == 0, out + err
    answers = json.loads(python(PREDICT, tmp_path / "out", json.dumps(TEXTS)))
    code, out, err = main("models", "import", tmp_path / "out", "--json")
    assert code == 0, out + err
    report = json.loads(out)
    assert report["artifact_sha256"] == plugged["artifact_sha256"]
    with open_installation(load_config(home, {})) as parts:
        known = parts.registry.get("intent", report["version"])
        assert known.made.dataset == "imported"
        assert str(tmp_path / "out") in known.made.request
        model = text_model(parts, known)
        scores = model.score(TEXTS, parts.encoder.encode(TEXTS))
    assert answers["confidence"] == pytest.approx(list(scores.probabilities.max(axis=1)), abs=1e-9)
    assert answers["intent"] == [model.labels[column] for column in scores.probabilities.argmax(axis=1)]
    assert main("models", "export", "2", tmp_path / "out")[0] == 2


def test_any_pyfunc_with_a_signature_is_imported_and_measured(home, main, python, tmp_path):
    (tmp_path / "m.py").write_text(PYFUNC)
    python(SAVE, tmp_path / "foreign", tmp_path / "m.py")
    code, out, err = main("models", "import", tmp_path / "foreign", "--as", "other")
    assert code == 2
    assert "--labels" in err
    code, out, err = main("models", "import", tmp_path / "foreign", "--as", "other", "--data", "starter", "--json")
    assert code == 0, out + err
    assert 0 < json.loads(out)["metrics"]["accuracy"] < 0.5
    with open_installation(load_config(home, {})) as parts:
        model = text_model(parts, parts.registry.get("other", "1"))
        scores = model.score(TEXTS, np.zeros((3, 2)))
    assert scores.probabilities.max(axis=1) == pytest.approx(0.75)
    assert [model.labels[column] for column in scores.probabilities.argmax(axis=1)][1] == "roaming"


def test_a_pickle_is_loaded_only_where_somebody_vouches_for_it(home, main, python, tmp_path):
    python(SAVE, tmp_path / "pickled", "pickled")
    code, _, err = main("models", "import", tmp_path / "pickled", "--data", "starter")
    assert code == 2
    assert "python_model.pkl" in err
    (tmp_path / "pickled" / "python_model.pkl").rename(tmp_path / "pickled" / "weights")
    mlmodel = (tmp_path / "pickled" / "MLmodel").read_text().replace("python_model.pkl", "weights")
    (tmp_path / "pickled" / "MLmodel").write_text(mlmodel)
    code, _, err = main("models", "import", tmp_path / "pickled", "--data", "starter")
    assert (code, "weights" in err) == (2, True)
    arguments = ("models", "import", tmp_path / "pickled", "--data", "starter", "--trust-pickle", "our own")
    code, out, err = main(*arguments, "--json")
    assert code == 0, out + err
    with open_installation(load_config(home, {})) as parts:
        assert '"trust_pickle":"our own"' in parts.registry.get("intent", json.loads(out)["version"]).made.request


def test_without_a_signature_or_store_nothing_is_imported(home, main, python, tmp_path, monkeypatch):
    python(SAVE, tmp_path / "unsigned", "pickled")
    code, _, err = main("models", "import", tmp_path / "unsigned", "--trust-pickle", "our own")
    assert (code, "signature" in err) == (2, True)
    monkeypatch.setenv("HEADSET_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    code, _, err = main("models", "import", "models:/intent/1")
    assert (code, "http://127.0.0.1:9" in err) == (1, True)
    for wrong in (tmp_path / "absent", home / "mlflow.db"):
        assert main("models", "import", wrong)[0] == 2
    code, out, _ = main("models", "list", "--json")
    assert [each["version"] for each in json.loads(out)] == ["1"]


def test_an_exchanged_folder_serves_nobody(home):
    with open_installation(load_config(home, {})) as parts:
        known = parts.registry.champion("intent")
        folder = parts.registry.artifact("intent", known.version)
        manifest = json.loads((folder / "manifest.json").read_bytes())
        (folder / "manifest.json").write_text(json.dumps(manifest | {"threshold": 0.0}))
        with pytest.raises(ArtifactError, match="exchanged after it was registered"):
            predictor(parts, "intent", "")
        with pytest.raises(ArtifactError, match="exchanged after it was registered"):
            twin_version(parts, "champion", ["roaming"])


def _hosts(home):
    """The processes that host a model of this home's server."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (place / "stat").read_text().rpartition(")")[2].split()[1]
            hosts = "headset.training.plugin.host" in (place / "cmdline").read_text()
            if hosts and str(home) in (Path("/proc") / parent / "environ").read_text():
                found.append(int(place.name))
    return found
