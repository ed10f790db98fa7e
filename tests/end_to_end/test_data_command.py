"""``headset data check`` and ``headset data profile``: what a person does with them, and may get wrong."""

from __future__ import annotations

import csv
import json
import random

import pytest

from headset.twin.example import write_examples
from headset.twin.scenario import read_scenario
from headset.twin.world import make_world


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def imported(main, tmp_path):
    """The data sets ``mine`` and ``held``: 600 and 100 texts."""
    world, drawn = make_world(read_scenario("quiet_week")), random.Random(5)
    for name, count in (("mine", 600), ("held", 100)):
        path = tmp_path / f"{name}.csv"
        with path.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["text", "label"])
            for each in write_examples(world, count, drawn, language="en", channel="chat"):
                writer.writerow([each.text, each.label])
        assert main("import", "csv", path, "--as", name)[0] == 0


@pytest.mark.slow
@pytest.mark.usefixtures("imported")
def test_data_are_checked_and_described(main, tmp_path):
    page = tmp_path / "mine.html"
    code, printed, told = main("data", "check", "mine", "--test", "held", "--html", page)
    assert code == 0
    assert "mine: " in printed
    assert "fit to train on" in printed
    assert str(page) in told.replace("\n", "")
    assert "data:image/png" in page.read_text()
    limits = tmp_path / "limits.toml"
    limits.write_text('[volume]\nwarn = 5000\nfail = 1000\nowner = "ann"\n')
    code, printed, _ = main("data", "check", "mine", "--limits", limits, "--json")
    assert code == 1
    failed = [(each["check"], each["owner"]) for each in json.loads(printed)["findings"] if each["mark"] == "fail"]
    assert failed == [("volume", "ann")]
    code, printed, _ = main("data", "profile", "mine", "--json")
    assert (code, json.loads(printed)["rows"]) == (0, 600)
    code, printed, _ = main("data", "profile", "mine", "--html", page)
    assert code == 0
    assert "Profile of mine" in page.read_text()


@pytest.mark.usefixtures("imported")
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("check", "none"), "there are: held, mine"),
        (("check", "mine", "--test", "none"), "there are: held, mine"),
        (("check", "mine", "--limits", "none.toml"), "none.toml is not there"),
        (("check", "mine", "--html", "no/such/folder.html"), "cannot be written"),
        (("check", "mine", "--rows", "5"), "1000"),
        (("profile", "none"), "there are: held, mine"),
    ],
)
def test_misuse_is_told_in_a_sentence(main, arguments, problem):
    code, _, told = main("data", *arguments)
    assert code == 2
    assert problem in told
    assert "Traceback" not in told
