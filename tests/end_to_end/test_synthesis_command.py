"""``headset data synthesize`` as its users meet it."""

from __future__ import annotations

import json
import random

import pytest

from headset.app import open_installation
from headset.core.config import load_config
from headset.data.importer import import_items
from headset.data.row import Row
from headset.training.synthesis import trial

FREQUENT = {
    "card": (
        "where is my card",
        "the card has not come",
        "my card is lost",
        "I want a new card",
        "the card was stolen",
    ),
    "bill": (
        "my bill is wrong",
        "I paid the bill twice",
        "explain this bill",
        "the bill is too high",
        "send me a bill",
    ),
}
RARE = {
    "roaming": ("does my plan work in spain", "calls abroad cost too much", "can I use data in france",
                "switch on roaming for my trip", "am I charged when I travel", "internet abroad is off"),
    "outage": ("there is no signal here", "the network is down again", "my internet stopped working",
               "is there an outage in town", "nothing loads since noon", "the line went dead"),
}  # fmt: skip
OPENINGS = ("hello", "hi there", "please help", "good morning", "excuse me", "quick question", "I have a problem")
CLOSINGS = ("thanks", "as soon as possible", "today", "if you can", "please", "since last week", "it is urgent")


@pytest.fixture
def shop(home):
    made = random.Random(5)

    def rows():
        for texts, count in ((FREQUENT, 70), (RARE, 12)):
            for label, cores in texts.items():
                for _ in range(count):
                    yield f"{made.choice(OPENINGS)}, {made.choice(cores)} {made.choice(CLOSINGS)}", label

    with open_installation(load_config(home, {})) as parts:
        items = (Row(number, text, label) for number, (text, label) in enumerate(rows(), 1))
        import_items(items, "shop", log=parts.log, door=parts.door, clock=parts.clock)
    return "shop"


@pytest.mark.slow
@pytest.mark.parametrize("helps", [True, False])
def test_rows_are_kept_and_learned_from_or_rejected_as_the_trial_says(main, shop, tmp_path, monkeypatch, helps):
    """What the trial says is decided here: so few texts would leave it to chance; tests of the trial ask the rule."""
    monkeypatch.setattr(trial, "judge", lambda *_: (helps, "decided"))
    page = tmp_path / "page.html"
    options = ("--rare", 30, "--per-intent", 30, "--html", page, "--json")
    code, out, _ = main("data", "synthesize", shop, "--as", "more", *options)
    report = json.loads(out)
    assert (code, report["kept"], report["trial"]["kept"]) == (0 if helps else 1, helps, helps)
    assert [one["intent"] for one in report["trial"]["intents"]] == ["outage", "roaming"]
    assert sum(report["refused"].values()) > 0
    assert page.read_text("utf-8").count("data:image/png") == 2
    code, out, _ = main("train", "intent", "--data", shop, "--synthetic", "more", "--json")
    if not helps:
        assert code == 2
        assert "'more' is not there" in out
        return
    trained = json.loads(out)
    assert trained["synthetic_rows"] == sum(report["made"].values())
    assert main("data", "synthesize", shop, "--as", "more", "--json")[0] == 2
    again = json.loads(main("train", "again", trained["version"], "--json")[1])
    assert (again["same"], again["made"]) == (True, trained["artifact_sha256"])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("nothing",), "'nothing' holds no labelled text"),
        (("shop", "--rare", 2), "no intent of 'shop' has fewer than 2 different texts"),
        (("shop", "--per-intent", 0), "per-intent: is 0; give a number from 1 to 1000"),
        (("shop", "--rare", 10**12), "rare: is 1000000000000; give a number from 1 to 1000"),
        (("shop", "--generators", "magic"), "'magic' is unknown"),
        (("shop", "--generators", ","), "generators: is empty"),
        (("shop", "--as", "shop"), "'shop' already names imported texts"),
        (("shop", "--endpoint", "http://127.0.0.1:9/v1"), "model: is missing"),
        (("shop", "--endpoint", "http://127.0.0.1:9/v1", "--model", "m"), "add --send-texts if they may leave"),
        (("shop", "--endpoint", "nowhere", "--model", "m", "--send-texts"), "'nowhere' is no address"),
        (("shop", "--send-texts"), "endpoint: is missing"),
    ],
)
def test_misuse_is_refused_before_anything_is_made(main, shop, arguments, problem):
    named = () if "--as" in arguments else ("--as", "more")
    code, out, _ = main("data", "synthesize", *arguments, *named, "--json")
    assert code == 2
    assert problem in json.loads(out)["error"]
