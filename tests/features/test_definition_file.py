"""Definition files are run, and what goes wrong in them is told by file and line."""

from __future__ import annotations

import sys

import pytest

from headset.core.errors import InvalidInput, NotFound
from headset.features.definition_file import load_definitions

MOOD = """
from headset.features.aggregation import Count
from headset.features.definition import Feature, FeatureService, FeatureView

TURNS = Feature(name="turns", aggregation=Count(), window="1 d")
MOOD = FeatureView(
    name="mood", entity="customer", event="TurnReceived", features=(TURNS,), owner="care", description=""
)
"""
RISK = """
from headset.features.definition import FeatureService
from mood import MOOD

RISK = FeatureService(name="risk", views=(MOOD,), owner="care", description="")
"""


@pytest.fixture
def write(tmp_path):
    def write(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        return tmp_path

    return write


def test_a_file_gives_what_stands_at_its_top_level(write):
    found = load_definitions(write(mood=MOOD + "\nSAME = MOOD\ndef make():\n    return MOOD\n") / "mood.py")
    assert [view.name for view in found.views] == ["mood"]
    assert found.services == ()


def test_files_of_a_folder_belong_together(write):
    found = load_definitions(write(mood=MOOD, risk=RISK))
    assert [view.name for view in found.views] == ["mood"]
    assert [service.name for service in found.services] == ["risk"]
    assert found.services[0].views == found.views
    assert "mood" not in sys.modules


def test_tuples_and_lists_of_definitions_count(write):
    found = load_definitions(write(mood=MOOD.replace("MOOD = ", "ALL = [(") + ",)]\n") / "mood.py")
    assert [view.name for view in found.views] == ["mood"]


def test_what_a_file_prints_does_not_mix_with_results(write, capsys):
    load_definitions(write(mood=MOOD + "print('loaded')\n"))
    assert capsys.readouterr() == ("", "loaded\n")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"mood": "x = ("}, r"mood.py:1: is no Python \('\(' was never closed\)"),
        ({"mood": "\nx = 1 / 0\n"}, "mood.py:2: raised ZeroDivisionError: division by zero"),
        ({"mood": "def f():\n    return unknown\n\nf()\n"}, "mood.py:2: raised NameError: name 'unknown'"),
        ({"mood": "import sys\nsys.exit(3)\n"}, "mood.py:2: raised SystemExit: 3"),
        ({"mood": "raise BaseException('boo')\n"}, "mood.py:1: raised BaseException: boo"),
        ({"mood": "raise GeneratorExit\n"}, "mood.py:1: raised GeneratorExit"),
        ({"mood": "class Mute(Exception):\n    def __str__(self):\n        1 / 0\nraise Mute\n"}, "py:4: raised Mute$"),
        ({"mood": "x = []\nx.append(x)\n"}, "mood.py: raised RecursionError"),
        ({"mood": "x = []\nfor i in range(100_000):\n    x = [x]\n"}, "mood.py: raised RecursionError"),
        ({"mood": "class L(list):\n    def __iter__(self):\n        1 / 0\nx = L()\n"}, "mood.py:3: raised ZeroDiv"),
        ({"mood": "import nowhere_to_be_found\n"}, "mood.py:1: raised ModuleNotFoundError: .*nowhere_to_be_found"),
        ({"mood": MOOD.replace("1 d", "1 day")}, "mood.py:6: mood.turns.window: '1 day' is no duration"),
        ({"mood": MOOD.replace("TurnReceived", "Turn")}, "mood.py:6: mood.event: 'Turn' is none of"),
        ({"mood": "x = 1\n"}, "path: .* defines neither a FeatureView nor a FeatureService"),
        ({"mood": "x = '\0'\n"}, "mood.py.*null bytes"),
        ({"mood": MOOD, "again": MOOD.replace("1 d", "2 d")}, "mood: is the name of two different views"),
        ({"bad": "x = (", "risk": RISK.replace("mood", "bad")}, "bad.py:1: is no Python"),
        ({}, "path: .* holds no Python file"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(write, files, message):
    with pytest.raises(InvalidInput, match=message):
        load_definitions(write(**files))


def test_whoever_interrupts_a_file_is_heard(write):
    with pytest.raises(KeyboardInterrupt):
        load_definitions(write(mood="raise KeyboardInterrupt\n"))


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "mood.py").write_bytes(b"\xff\xfe\x00x")
    with pytest.raises(InvalidInput, match=r"mood.py"):
        load_definitions(tmp_path)


def test_a_file_has_to_be_there_and_to_be_python(tmp_path):
    with pytest.raises(NotFound, match=r"path: .*nowhere.py does not exist"):
        load_definitions(tmp_path / "nowhere.py")
    (tmp_path / "mood.toml").write_text("")
    with pytest.raises(InvalidInput, match=r"path: .*mood.toml is no Python file"):
        load_definitions(tmp_path / "mood.toml")
