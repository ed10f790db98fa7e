from __future__ import annotations

import pytest

from headset.core.clock import ManualClock
from headset.core.errors import InvalidInput
from headset.events.schema import ModelRegistered
from headset.page.document import render
from headset.registry.store import ModelVersion
from headset.validation.gate import Judgement
from headset.validation.page import make_page
from headset.validation.validation import GATES, validate


class Says:
    def __init__(self, name, result):
        self.name, self._result = name, result

    def judge(self, context):
        return Judgement(self._result, {"n": 1.0}, f"it is so because of {self.name}")


class Breaks:
    name = "breaks"

    def __init__(self, error):
        self._error = error

    def judge(self, context):
        raise self._error


def test_the_gates_have_the_names_that_the_record_relies_on():
    names = ["suite", "champion", "out_of_scope", "calibration", "fairness", "latency", "business"]
    assert [gate.name for gate in GATES] == names


@pytest.mark.parametrize(
    ("results", "whole"),
    [
        (["pass", "pass"], "pass"),
        (["pass", "inconclusive"], "inconclusive"),
        (["inconclusive", "fail"], "fail"),
        ([], "inconclusive"),
    ],
)
def test_the_whole_is_as_good_as_its_weakest_gate(context, results, whole):
    found = validate(context(), [Says(str(place), result) for place, result in enumerate(results)])
    assert (found.result, list(found.results.values())) == (whole, results)


@pytest.mark.parametrize("error", [InvalidInput("data", "is empty"), ZeroDivisionError("division by zero")])
def test_a_gate_that_breaks_is_inconclusive_and_the_others_go_on(context, error):
    found = validate(context(), [Breaks(error), Says("other", "pass")])
    assert found.results == {"breaks": "inconclusive", "other": "pass"}
    assert str(error) in found.judgements["breaks"].reason


def test_the_floor_does_not_pass_on_texts_that_may_have_been_learned_from(context, rows):
    gates = [Says("champion", "pass"), Says("calibration", "fail"), Says("latency", "pass")]
    found = validate(context(rows=rows(unknown="version 2 learned from data that this log does not hold")), gates)
    assert found.results == {"champion": "inconclusive", "calibration": "fail", "latency": "pass"}
    assert "two people must waive" in found.judgements["champion"].reason
    assert validate(context(rows=rows()), gates).results["champion"] == "pass"


def test_progress_is_told_by_gate(context):
    told = []
    validate(context(progress=lambda name, part: told.append((name, part))), [Says("a", "pass"), Says("b", "pass")])
    assert told == [("a", 0.0), ("a", 1.0), ("b", 0.0), ("b", 1.0)]


def test_the_page_says_verdict_reasons_and_evidence(context, rows):
    made = ModelRegistered("intent", "3", "abc", "", "bank", "", "c0ffee", 7, {}, "none")
    version = ModelVersion("intent", "3", "", [], made)
    whole = context(rows=rows(excluded=12, unknown="version 3 learned from data that this log does not hold"))
    found = validate(whole, [Says("suite", "pass"), Says("latency", "fail")])
    page = render(make_page(version, whole, found, validation_id="v1", when=ManualClock().now()))
    for part in ("Not passed: latency.", "12 left out", "It is so because of suite.", "c0ffee", "does not hold"):
        assert part in page
