"""The truth file: every line comes back, and nothing else in Headset knows of it."""

from __future__ import annotations

import ast
from datetime import date, datetime, timedelta

import pytest

from headset.core.errors import StorageFailed
from headset.twin.truth import (
    Beginning,
    Episode,
    PlantedFault,
    TrueContact,
    TrueEffect,
    TrueKpis,
    TruthFile,
    episodes,
    read_truth,
    true_contact,
)

START = datetime(2026, 3, 2)  # noqa: DTZ001 - the centre's own clock
LINES = [
    Beginning("small", 1, START, 0.5),
    Episode("fog", "unfair", START, START + timedelta(days=2), where={"region": "north"}),
    PlantedFault("late", "wrong_unit", "handle_time_s", 0.5, START, START + timedelta(hours=1)),
    TrueContact("c-1", "ana", START, "roaming", "en", "chat", {"region": "north"}, 4, solved=True, waited_s=0.001),
    TrueKpis(None, 1, {"csat": 4.0, "asa_s": None}),
    TrueEffect("2", "1", "containment", 0.1, 0.01),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "truth.jsonl"


def test_lines_come_back_as_they_were_written(path):
    with TruthFile(path) as file:
        file.write(*LINES[:2])
        for line in LINES[2:]:
            file.write(line)
    assert read_truth(path) == LINES


def test_each_line_is_whole_in_the_file_once_it_is_written(path):
    with TruthFile(path) as file:
        for number, line in enumerate(LINES, start=1):
            file.write(line)
            assert read_truth(path) == LINES[:number]


def test_a_last_line_that_was_cut_short_is_left_out(path):
    with TruthFile(path) as file:
        file.write(*LINES)
    whole = path.read_bytes()
    for cut in range(1, len(whole), 7):
        path.write_bytes(whole[:-cut])
        assert read_truth(path) == LINES[: whole[:-cut].count(b"\n")]


def test_a_damaged_line_is_named(path):
    with TruthFile(path) as file:
        file.write(*LINES)
    path.write_bytes(path.read_bytes().replace(b'"PlantedFault"', b"").replace(b'"kind":"fault"', b'"kind":"news"'))
    with pytest.raises(StorageFailed, match=r"line 3 of .*truth.jsonl is damaged"):
        read_truth(path)


def test_a_file_that_is_not_there_is_told_of(path):
    with pytest.raises(StorageFailed, match="cannot be read"):
        read_truth(path)


def test_what_is_there_already_is_not_written_over(path):
    path.write_text("mine")
    with pytest.raises(StorageFailed, match="is there already; remove it, or name another with --truth"):
        TruthFile(path)
    assert path.read_text() == "mine"


def test_a_place_that_cannot_be_written_is_told_of(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageFailed, match="cannot be written"):
        TruthFile(tmp_path / "file" / "truth.jsonl")


class FullDisk:
    def writelines(self, lines):
        list(lines)
        raise OSError(28, "No space left on device")

    def close(self):
        raise OSError(28, "No space left on device")


def test_a_disk_that_fills_up_is_told_of_once(path):
    file = TruthFile(path)
    file._file.close()
    file._file = FullDisk()
    with pytest.raises(StorageFailed, match="No space left"), file:
        file.write(LINES[0])


def test_without_a_file_nothing_is_written():
    with TruthFile(None) as file:
        file.write(*LINES)


def test_everything_planted_is_listed_in_order_of_time(small):
    scenario = small(
        days=30,
        calendar={
            "occasions": [
                {
                    "name": "fair",
                    "kind": "promotion",
                    "start": date(2026, 3, 20),
                    "end": date(2026, 3, 22),
                    "factor": 2.0,
                },
                {"name": "rest", "kind": "holiday", "start": date(2026, 3, 10), "factor": 0.5},
            ]
        },
        incidents=[
            {
                "name": "storm",
                "start": START + timedelta(days=5),
                "hours": 6.0,
                "intent": "storm_outage",
                "contacts_per_hour": 9.0,
                "where": {"region": "north"},
            }
        ],
        changes=[
            {
                "name": "words",
                "start": START + timedelta(days=2),
                "end": START + timedelta(days=9),
                "words": {"bill": "statement"},
            }
        ],
        unfairness=[{"name": "accent", "where": {"channel": "voice"}, "accuracy_loss": 0.1}],
    )
    found = episodes(scenario, 30.0)
    assert [(each.name, each.drift) for each in found] == [
        ("accent", "unfair"),
        ("words", "gradual"),
        ("storm", "emergent"),
        ("rest", "seasonal"),
        ("fair", "seasonal"),
    ]
    accent, words, storm, rest, fair = found
    assert (accent.start, accent.end) == (START, START + timedelta(days=30))
    assert words.words == {"bill": "statement"}
    assert (storm.end - storm.start, storm.intents, storm.where) == (
        timedelta(hours=6),
        ("storm_outage",),
        {"region": "north"},
    )
    assert rest.end - rest.start == timedelta(days=1)
    assert (fair.start, fair.end) == (datetime(2026, 3, 20), datetime(2026, 3, 23))  # noqa: DTZ001


def test_a_contacts_line_is_its_course(small, simulate):
    scenario = small()
    for contact, course in simulate(scenario, days=0.5).courses:
        line = true_contact(contact, course, scenario.start)
        assert (line.conversation_id, line.intent, line.attempt) == (
            contact.conversation_id,
            contact.intent,
            contact.attempt,
        )
        assert (line.said, line.solved, line.satisfaction) == (course.said, course.solved, course.satisfaction)
        assert abs((line.time - scenario.start).total_seconds() - contact.start_s) <= 0.001
        assert line.waited_s == pytest.approx(course.waited_s, abs=0.001)


def test_no_part_of_headset_reads_the_truth(root):
    """The twin writes it, and the command line names the file; only tests and benchmarks read it."""
    found = {"read_truth": set(), "TruthFile": set(), "truth.jsonl": set()}
    source = root / "src" / "headset"
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            for name in (getattr(node, attribute, None) for attribute in ("id", "attr", "name", "value")):
                if isinstance(name, str) and name in found:
                    found[name].add(str(path.relative_to(source)))
    assert found == {
        "read_truth": {"twin/truth.py"},
        "TruthFile": {"twin/truth.py", "twin/generate.py", "twin/live.py", "cli/twin.py"},
        "truth.jsonl": {"cli/twin.py"},
    }
