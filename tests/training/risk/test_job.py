from __future__ import annotations

import os
from io import StringIO
from pathlib import Path
from random import Random
from types import SimpleNamespace

import msgspec
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from headset.core.clock import ManualClock
from headset.core.errors import Conflict, InvalidInput, NotFound, StorageFailed
from headset.data.importer import import_file, import_items
from headset.data.row import Dialogue, Turn
from headset.events.door import Door
from headset.events.past import Past
from headset.events.schema import Actor
from headset.features.definition import pinned
from headset.features.families import risk_service, shipped
from headset.features.sentiment import Sentiment
from headset.features.signal import SignalReader
from headset.registry.risk import RiskScorer
from headset.training.recipe import RiskRequest, read_request
from headset.training.risk.job import MODEL, repeat_risk, train_risk
from headset.training.risk.report import RiskReport, render
from headset.training.tracking import mlflow

pytestmark = pytest.mark.slow

ANN = Actor(person="ann", path="test")
ASKED = ("where is my parcel", "what does it cost", "can you send the form", "which day is it", "and the other one")
ANGRY = ("this is terrible, I hate it", "what an awful mess, I am angry", "horrible, you are useless")
GLAD = ("thanks, that is great", "wonderful, I love it", "good, I am happy")


def dialogues(count, seed=7, *, telling=True):
    """The mood of the second turn tells how it ends; the last turn says nothing."""
    random = Random(seed)
    for number in range(1, count + 1):
        is_bad = random.random() < 0.4
        mood = ANGRY if (is_bad if telling else random.random() < 0.5) else GLAD
        said = [random.choice(ASKED), random.choice(mood), *random.choices(ASKED, k=random.randrange(2, 4))]
        turns = [
            turn
            for text in said
            for turn in (Turn("customer", f"{text} {random.randrange(99)}"), Turn("bot", "I see."))
        ]
        yield Dialogue(number=number, turns=tuple(turns), ratings=(2, 3, 2) if is_bad else (4, 3, 4), csat=None)


class LetterEncoder:
    """A stand-in: counts of eight letters."""

    version = "letters-1"
    dim = 8

    def encode(self, texts):
        return np.array([[text.count(letter) for letter in "aeioutns"] for text in texts], np.float32)


class OtherEncoder(LetterEncoder):
    version = "letters-2"


LETTERS = LetterEncoder()


@pytest.fixture(scope="module")
def open_risk(open_home, tracking_uri):
    def home(encoder=LETTERS):
        parts = open_home()
        signals = SignalReader(parts.vault, encoder, Sentiment())
        service = risk_service([pinned(view, signals.versions) for view in shipped(encoder.dim)])

        def add(name, items):
            import_items(items, name, log=parts.log, door=Door(parts.vault), clock=ManualClock(1_700_000_000_000_000))

        def train(dataset, seed=7, handoffs=0.1, **changes):
            arguments = {
                "log": parts.log, "registry": parts.registry, "signals": signals, "service": service,
                "home": parts.folder, "tracking_uri": tracking_uri,
                "request": RiskRequest(dataset=dataset, seed=seed, handoffs=handoffs),
                "clock": ManualClock(1_700_000_000_000_000), "commit": "c0ffee", "progress": lambda *_: None,
            }  # fmt: skip
            return train_risk(**arguments | changes)

        return SimpleNamespace(**vars(parts) | {"add": add, "train": train, "service": service, "signals": signals})

    return home


@pytest.fixture(scope="module")
def home(open_risk):
    home = open_risk()
    home.add("calls", dialogues(160))
    return home


@pytest.fixture(scope="module")
def first(home):
    return home.train("calls")


def test_the_first_that_beats_both_baselines_becomes_champion(home, first):
    champion = home.registry.champion(MODEL)
    assert (first.champion, first.version, champion.version) == (True, "1", "1")
    assert first.evaluation.beaten
    assert "Version 1 is the first champion" in first.verdict


def test_a_version_says_which_features_it_reads(home, first):
    made = home.registry.champion(MODEL).made
    assert (made.feature_service, made.features) == ("risk", home.service.versions)
    assert 0 < made.data_position <= home.log.head()
    assert (made.dataset, made.seed, made.commit, made.run_id) == ("calls", 7, "c0ffee", first.run_id)
    assert made.metrics == first.metrics
    assert (first.conversations, first.metrics["bad_ratio"]) == (160, first.bad / 160)


def test_the_artifact_is_what_was_registered(home, first):
    scorer = RiskScorer.load(home.registry.artifact(MODEL, "1"))
    assert scorer.features == home.service.versions
    assert (scorer.service_version, scorer.threshold) == (home.service.version, first.threshold)
    angry, glad = ({"sentiment.mean": mood, "sentiment.min": mood, "sentiment.max": mood} for mood in (-0.4, 0.4))
    assert scorer.score([angry])[0] > scorer.score([glad])[0]


def test_any_mlflow_user_loads_it(home, first, tracking_uri):
    mlflow.set_tracking_uri(tracking_uri)
    model = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")
    row = {"sentiment.mean": -0.5, "history.embedding": [0.0] * LETTERS.dim}
    found = model.predict(pd.DataFrame({"features": [msgspec.json.encode(row).decode(), "{}"]}))
    scorer = RiskScorer.load(home.registry.artifact(MODEL, "1"))
    assert found["risk"].tolist() == scorer.score([{"sentiment.mean": -0.5}, {}]).tolist()
    assert found["handoff"].tolist() == [risk >= scorer.threshold for risk in found["risk"]]


def test_a_champion_stays_and_equal_seeds_give_equal_artifacts(home, first):
    second = home.train("calls")
    assert (second.version, second.champion, second.artifact_sha256) == ("2", False, first.artifact_sha256)
    assert "Version 1 stays champion" in second.verdict
    assert home.registry.champion(MODEL).version == "1"


def test_a_new_version_is_judged_beside_the_reigning_one(home, first):
    version = home.train("calls").version
    case = home.registry.case(MODEL, version)
    gates = {gate.gate: gate for gate in case.validation.gates}
    assert (case.validation.ended.champion, set(gates)) == ("1", {"champion", "calibration"})
    assert gates["champion"].result in {"pass", "inconclusive"}
    assert gates["champion"].evidence["n"] == 160
    assert "which favours it" in gates["champion"].reason


def test_a_better_version_replaces_the_champion(open_risk):
    home = open_risk()
    home.add("early", dialogues(110))
    home.train("early")
    home.add("late", dialogues(500, seed=8))
    second = home.train("late")
    assert f"'headset models promote 2 --model {MODEL} --reason ...'" in second.verdict
    home.registry.promote(MODEL, "2", by=ANN, reason="more conversations")
    assert home.registry.champion(MODEL).version == "2"


def test_a_version_that_learned_from_noise_replaces_nobody(open_risk):
    home = open_risk()
    home.add("calls", dialogues(120))
    home.train("calls")
    home.add("noise", dialogues(120, seed=8, telling=False))
    assert "Gate champion failed" in home.train("noise").verdict
    with pytest.raises(Conflict, match="gate champion failed"):
        home.registry.promote(MODEL, "2", by=ANN, reason="newer")


def test_a_champion_that_reads_other_features_cannot_be_compared(open_risk):
    home = open_risk()
    home.add("calls", dialogues(120))
    home.train("calls")
    signals = SignalReader(home.vault, OtherEncoder(), Sentiment())
    service = risk_service([pinned(view, signals.versions) for view in shipped(LETTERS.dim)])
    verdict = home.train("calls", signals=signals, service=service).verdict
    assert "Gate champion is inconclusive: version 1 reads" in verdict
    assert "so ask for a waiver" in verdict


def test_a_version_is_made_again_from_its_record(home, first):
    made = home.registry.get(MODEL, first.version).made
    home.add("calls", dialogues(30, seed=9))  # the data grow: the log as it was does not
    sha256 = repeat_risk(
        log=Past(home.log, made.data_position),
        signals=home.signals,
        service=home.service,
        home=home.folder,
        request=read_request(made.request, "version 1"),
        progress=lambda *_: None,
    )
    assert sha256 == first.artifact_sha256


def test_the_report_is_data_and_a_page(first):
    assert msgspec.json.decode(msgspec.json.encode(first), type=RiskReport) == first
    page = StringIO()
    Console(file=page, width=120).print(render(first))
    assert "ended unresolved or dissatisfied" in page.getvalue()


def test_a_model_that_beats_nobody_serves_nobody(open_risk):
    home = open_risk()
    home.add("noise", dialogues(120, telling=False))
    report = home.train(None)
    assert (report.champion, home.registry.champion(MODEL), report.dataset) == (False, None, "")
    assert "is registered but serves nobody" in report.verdict


def test_what_allows_no_training_is_refused(open_risk):
    home = open_risk()
    with pytest.raises(NotFound, match="nothing was imported as 'calls'"):
        home.train("calls")
    home.add("few", dialogues(30))
    with pytest.raises(InvalidInput, match=r"'few' has 30 conversations whose end is known .* at least 100 are needed"):
        home.train("few")
    home.add("happy", (msgspec.structs.replace(each, ratings=(4,)) for each in dialogues(110, seed=8)))
    with pytest.raises(InvalidInput, match="0 of 110 conversations of 'happy' ended badly, at least 20 are needed"):
        home.train("happy")
    for changes, field in (({"seed": -1}, "seed"), ({"handoffs": 1.0}, "handoffs")):
        with pytest.raises(InvalidInput, match=field):
            home.train("few", **changes)


def test_without_its_store_nothing_is_registered(home, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = home.log.head()
    with pytest.raises(StorageFailed, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        home.train("calls", tracking_uri="http://127.0.0.1:9")
    assert home.log.head() == before


def test_real_dialogues_are_told_apart_better_than_by_the_last_turns_sentiment(open_risk, encoder):
    """1,000 dialogues rated by people; prints the table of docs/risk.md."""
    root = Path(__file__).parents[3]
    path = Path(os.environ.get("HEADSET_DATA") or root.parent / "shared" / "data") / "uss" / "SGD.txt"
    if not path.is_file():
        pytest.skip("uss/SGD.txt is neither in ../shared/data nor in HEADSET_DATA")
    home = open_risk(encoder)
    import_file(path, "uss", "sgd", log=home.log, door=Door(home.vault), clock=ManualClock(1_700_000_000_000_000))
    report = home.train("sgd", seed=0)
    Console(width=120).print(render(report))
    assert report.evaluation.beaten
    assert (report.conversations, report.bad, report.turns) == (1_000, 186, 12_833)
