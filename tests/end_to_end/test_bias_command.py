"""`headset data bias` as its user meets it: a data set, what was served, and bad input."""

from __future__ import annotations

import json
import random

import pytest

from headset.twin.example import write_examples
from headset.twin.scenario import read_scenario
from headset.twin.world import make_world


@pytest.fixture
def reviewed(main, tmp_path):
    """A data set of 600 labelled conversations; people of the south mean something else than they say in a third."""
    examples = write_examples(
        make_world(read_scenario("quiet_week")), 600, random.Random(11), language="en", channel="chat"
    )
    labels = sorted({example.label for example in examples})
    lines = []
    for number, example in enumerate(examples):
        south = number % 2 == 0
        meant = labels[(labels.index(example.label) + 1) % len(labels)] if south and number % 3 == 0 else example.label
        turn = {"speaker": "customer", "text": example.text, "intent": meant}
        where = {"attributes": {"region": "south" if south else "north"}, "customer_id": f"person{number}"}
        lines.append(json.dumps({"conversation_id": f"c{number}", "turns": [turn], **where}))
    path = tmp_path / "reviewed.jsonl"
    path.write_text("\n".join(lines))
    assert main("import", "jsonl", path, "--as", "reviewed")[0] == 0
    return "reviewed"


def test_a_gap_in_a_data_set_is_told_and_ends_with_1(main, reviewed, tmp_path):
    page = tmp_path / "bias.html"
    code, printed, _ = main("data", "bias", reviewed, "--by", "region,language", "--html", page, "--json")
    report = json.loads(printed)
    assert code == 1
    assert report["result"] == "fail"
    failed = {(one["group"], one["measure"]) for one in report["findings"] if one["result"] == "fail"}
    assert ("south", "recall") in failed
    assert not any(group == "north" for group, _ in failed)
    assert report["n"] + report["excluded"] == 600
    assert report["left_out"] == {"language": f"all {report['n']} rows of which it is known are of one group, en"}
    assert "<img" in page.read_text()
    code, printed, _ = main("data", "bias", reviewed, "--by", "region")
    assert code == 1
    assert "Served worse by 5.0 points or more" in printed


def test_texts_that_the_version_learned_from_are_left_out_and_counted(main, tmp_path):
    world = make_world(read_scenario("quiet_week"))
    starter = write_examples(world, 1_500, random.Random(3), language="en", channel="chat")  # as `trained_home` does
    learned = starter[:40]
    new = [f"the invoice numbered {number} came twice" for number in range(60)]
    turns = [{"text": f" {one.text.upper()}", "intent": one.label} for one in learned]
    turns += [{"text": text, "intent": learned[0].label} for text in new]
    path = tmp_path / "mixed.jsonl"
    path.write_text(
        "\n".join(
            json.dumps({"conversation_id": f"m{number}", "turns": [{"speaker": "customer", **turn}]})
            for number, turn in enumerate(turns)
        )
    )
    assert main("import", "jsonl", path, "--as", "mixed")[0] == 0
    code, printed, _ = main("data", "bias", "mixed", "--json")
    report = json.loads(printed)
    assert (code, report["excluded"], report["n"], report["unknown"]) == (0, 40, 60, "")
    assert "left out: 40 texts that the version learned from" in main("data", "bias", "mixed")[1]


def test_nothing_to_compare_is_inconclusive(main, reviewed):
    code, printed, _ = main("data", "bias", reviewed, "--by", "tenure,accent-proxy")
    assert code == 0
    assert "inconclusive: Nothing could be compared" in printed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give the name of a data set, or --live"),
        (("starter", "--live"), "give the name of a data set, or --live"),
        (("nowhere",), "holds no labelled text"),
        (("starter",), "learned from"),
        (("starter", "--version", "99"), "99"),
        (("starter", "--hours", "2"), "goes with --live"),
        (("starter", "--margin", "1.5"), "between 0 and 1"),
        (("starter", "--by", "language,,region"), "empty dimension"),
        (("--live",), "has a label yet"),
    ],
)
def test_bad_input_is_refused(main, arguments, told):
    code, _, error = main("data", "bias", *arguments)
    assert code == 2
    assert told in error


@pytest.mark.slow
def test_what_the_twin_plants_is_found_in_what_was_served_and_nothing_else(main, tmp_path):
    target = tmp_path / "unfair"
    assert main("twin", "generate", "unfair_language", "--out", target, "--days", "8", "--seed", "3", "--json")[0] == 0
    by = "language,channel,region,tenure"
    code, printed, _ = main("data", "bias", "--live", "--by", by, "--home", target, "--json")
    report = json.loads(printed)
    assert code == 1
    failed = {(one["dimension"], one["group"], one["measure"]) for one in report["findings"] if one["result"] == "fail"}
    assert ("language", "es", "recall") in failed
    assert {place[:2] for place in failed} == {("language", "es")}
