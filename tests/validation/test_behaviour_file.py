from __future__ import annotations

import pytest

from headset.core.errors import InvalidInput, NotFound
from headset.validation.behaviour_file import read_suite, read_suite_text

GOOD = """\
tests:
- name: refunds
  kind: minimum
  texts: ["I want my {what} back", "refund please"]
  slots: {what: [money, deposit]}
  intent: [refund, refund_status]
- name: names do not matter
  kind: invariance
  texts: ["My name is {name}, where is my card?"]
  slots: {name: [Ann, Mehmet, Olga]}
- name: slips do not matter
  kind: invariance
  texts: [where is my card]
  noise: typos
  limit: 0.2
- name: a person
  kind: direction
  texts: [where is my card]
  add: I want to speak to a person
  handover: true
  confidence: falls
"""


def test_tests_are_read_with_their_slots_filled():
    refunds, names, slips, person = read_suite_text(GOOD, "suite.yaml")
    assert [case.text for case in refunds.cases] == ["I want my money back", "I want my deposit back", "refund please"]
    assert refunds.intents == {"refund", "refund_status"}
    assert [(case.text[11:14], case.changed[11:15]) for case in names.cases] == [("Ann", "Mehm"), ("Ann", "Olga")]
    (slip,) = slips.cases
    assert slip.changed not in {None, slip.text}
    assert (slips.limit, person.handover, person.confidence) == (0.2, True, "falls")
    assert person.cases[0].changed == "where is my card I want to speak to a person"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("tests:\n- name: [unclosed\n", 3, ""),
        ("tests:\n- name: a\n  kind: minimum\n  texts: [x]\n  intend: b\n", 2, "intend"),
        ("tests:\n- name: a\n  kind: maximum\n  texts: [x]\n", 3, "maximum"),
        ("tests:\n- name: a\n  kind: minimum\n  texts: [x]\n  intent: b\n  limit: 7\n", 6, "<= 1"),
        ("tests:\n- name: a\n  kind: minimum\n  texts: [x]\n", 2, "expects nothing"),
        ("tests:\n- name: a\n  kind: minimum\n  texts: ['{x}']\n  intent: b\n", 2, "no slot 'x'"),
        ("tests:\n\n- name: a\n  kind: invariance\n  texts: [x]\n", 3, "changes nothing"),
        ("tests:\n- name: a\n  kind: direction\n  texts: [x]\n  handover: true\n", 2, "changes nothing"),
        ("test: []\n", 1, "test"),
        ("", 1, ""),
        ("tests:\n- name: a\n  kind: minimum\n  texts: [x]\n  intent: !!python/name:os.system\n", 5, ""),
    ],
)
def test_what_is_malformed_is_refused_with_its_line(text, line, said):
    with pytest.raises(InvalidInput) as refused:
        read_suite_text(text, "suite.yaml")
    assert f"suite.yaml, line {line}:" in str(refused.value)
    assert said in str(refused.value)


def test_aliases_that_could_grow_without_end_are_refused():
    with pytest.raises(InvalidInput, match="alias"):
        read_suite_text("a: &a [x]\nb: [*a, *a]\n", "suite.yaml")


def test_too_many_cases_are_refused():
    slots = "{a: [" + ", ".join(f"w{n}" for n in range(200)) + "]}"
    slots = slots[:-1] + ", b: [" + ", ".join(f"w{n}" for n in range(200)) + "]}"
    with pytest.raises(InvalidInput, match="10,000"):
        read_suite_text(
            f"tests:\n- name: n\n  kind: minimum\n  texts: ['{{a}} {{b}}']\n  slots: {slots}\n  intent: x\n", "s.yaml"
        )


def test_a_folder_is_read_in_order_of_name(tmp_path, seed):
    for name in ("b", "a"):
        text = f"tests:\n- {{name: {name}, kind: minimum, texts: [x], intent: y}}\n"
        (tmp_path / f"{name}.yaml").write_text(text)
    assert [test.name for test in read_suite([tmp_path], seed)] == ["a", "b"]


def test_an_absent_file_is_named(tmp_path, seed):
    with pytest.raises(NotFound, match=r"none\.yaml"):
        read_suite([tmp_path / "none.yaml"], seed)
