"""A champion, a candidate that learned from permuted labels, and what ``headset validate`` says of them."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from pathlib import Path

import pytest

from headset.app import open_installation
from headset.app.training import train_intent
from headset.core.config import load_config
from headset.data.importer import import_items
from headset.data.row import Dialogue, Row, Turn
from headset.training.recipe import IntentRequest
from headset.twin.example import write_examples
from headset.twin.scenario import read_scenario
from headset.twin.world import make_world

pytestmark = pytest.mark.slow

LIMITS = "business_days = 0.05\nsuite_cases = 80\nlatency_p99_ms = 5000\ncpu_ms = 1000\n"
SUITE = "tests:\n- {name: none, kind: minimum, texts: [where is my refund], intent: no_such_intent}\n"


@pytest.fixture(scope="module")
def validated_home(trained_home, tmp_path_factory):
    home = shutil.copytree(trained_home, tmp_path_factory.mktemp("validated") / "home")
    world, chance = make_world(read_scenario("quiet_week")), random.Random(4)
    broken = write_examples(world, 600, chance, language="en", channel="chat")
    labels = [example.label for example in broken]
    chance.shuffle(labels)
    late = write_examples(world, 600, chance, language="en")
    said = [
        Dialogue(
            number=number,
            turns=(Turn("customer", example.text, intent=example.label),),
            conversation_id=f"late-{number}",
            channel=example.channel,
        )
        for number, example in enumerate(late, 1)
    ]
    with open_installation(load_config(home, {})) as parts:
        doors = {"log": parts.log, "door": parts.door, "clock": parts.clock}
        rows = [Row(n, example.text, label) for n, (example, label) in enumerate(zip(broken, labels, strict=True), 1)]
        import_items(rows, "permuted", **doors)
        import_items(said, "late", **doors)
        train_intent(parts, IntentRequest(dataset="permuted", seed=3), progress=lambda *_: None)
    (home / "limits.toml").write_text(LIMITS)
    return home


@pytest.fixture
def home(validated_home, tmp_path):
    return shutil.copytree(validated_home, tmp_path / "home")


@pytest.fixture
def recorded(home):
    def recorded():
        """What was told of validations, but for the baselines that trainings told of."""
        with open_installation(load_config(home, {})) as parts:
            told = [record.event.payload for record in parts.log.read(types=("GateEvaluated", "ValidationEnded"))]
        return [each for each in told if "baseline" not in (getattr(each, "results", None) or {each.gate})]

    return recorded


def test_a_broken_candidate_fails_the_right_gates_on_record(main, home, recorded, tmp_path):
    page = tmp_path / "report.html"
    code, out, _ = main("validate", "2", "--data", "late", "--limits", home / "limits.toml", "--html", page, "--json")
    found = json.loads(out)
    results = {gate["gate"]: gate["result"] for gate in found["gates"]}
    assert (code, found["result"], found["champion"]) == (1, "fail", "1")
    assert {name for name, result in results.items() if result == "fail"} >= {"suite", "champion"}
    assert results["latency"] == "pass"
    assert (found["rows"] + found["excluded"] <= 600, found["rows"] > 500) == (True, True)
    *gates, ended = recorded()
    assert {gate.gate: gate.result for gate in gates} == results == ended.results
    assert {(gate.validation_id, gate.artifact_sha256) for gate in gates} == {
        (ended.validation_id, ended.artifact_sha256)
    }
    assert (ended.champion, ended.version) == ("1", "2")
    assert ended.limits == {"business_days": 0.05, "suite_cases": 80, "latency_p99_ms": 5000, "cpu_ms": 1000}
    assert (ended.data, ended.seed) == ("'late'", 7)
    kept = Path(found["report"])
    assert kept == home / "reports" / "validation" / f"{ended.validation_id}.html"
    assert hashlib.sha256(page.read_bytes()).hexdigest() == ended.report_sha256 == found["report_sha256"]
    assert kept.read_bytes() == page.read_bytes()


def test_the_champion_is_no_worse_than_itself(main, home):
    code, out, _ = main("validate", "champion", "--data", "late", "--limits", home / "limits.toml", "--seed", "3")
    assert code in {0, 1}  # some gates may want more texts
    assert "no other champion" in out
    assert "failed: champion" not in out
    assert "report:" in out


def test_a_tampered_artifact_is_refused_and_nothing_recorded(main, home, recorded):
    (home / "models" / "intent" / "2" / "idf.npy").write_bytes(b"changed")
    code, _, said = main("validate", "2", "--data", "late")
    assert (code, recorded()) == (1, [])
    assert "idf.npy" in said


def test_an_artifact_put_in_the_place_of_another_is_refused(main, home, recorded):
    models = home / "models" / "intent"
    shutil.rmtree(models / "2")
    shutil.copytree(models / "1", models / "2")
    code, _, said = main("validate", "2", "--data", "late")
    assert (code, recorded()) == (1, [])
    assert "manifest.json" in said


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["9"], "no version '9'"),
        (["2"], "--data"),
        (["2", "--data", "none"], "'none'"),
        (["1", "--data", "starter"], "learned from all of them"),
        (["2", "--data", "late", "--out-of-scope", "none"], "'none'"),
        (["2", "--data", "late", "--suite", "none.yaml"], "none.yaml"),
        (["2", "--data", "late", "--scenario", "none"], "none"),
        (["2", "--data", "late", "--margin", "7"], "margin"),
        (["2", "--data", "late", "--limits", "none.toml"], "none.toml"),
        (["2", "--model", "risk", "--data", "late"], "risk model"),
    ],
)
def test_what_cannot_be_validated_is_misuse(main, recorded, arguments, named):
    code, _, said = main("validate", *arguments)
    assert (code, recorded()) == (2, [])
    assert named in said


def test_ones_own_tests_are_found_and_named_with_their_line(main, tmp_path, monkeypatch):
    folder = tmp_path / "project" / "tests" / "behaviour"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(SUITE.replace("intent", "intend"))
    monkeypatch.chdir(tmp_path / "project")
    code, _, said = main("validate", "2", "--data", "late")
    assert code == 2
    assert "mine.yaml, line 2" in said
