from __future__ import annotations

import pytest

from headset.validation.behaviour import Behaviour, Case
from headset.validation.suite import SuiteGate, run_test


def reads(text):
    found = [intent for intent in ("card", "loan", "transfer", "refund") if intent in text.lower()]
    return (found[0], 0.95 if len(found) == 1 else 0.5, 1.0) if found else ("card", 0.4, -1.0)


def polite(text, intent, confidence, threshold):
    """A policy that hears requests for a person."""
    wishes = ("person", "human", "agent", "advisor", "mensch", "persona", "agente", "asesor", "mitarbeiter")
    return confidence < threshold or any(word in text.lower() for word in wishes)


def outcomes(judgement):
    return {name.removeprefix("failures: "): value for name, value in judgement.evidence.items() if "failures" in name}


def test_a_steady_model_behaves(context):
    found = SuiteGate().judge(context(hands_over=lambda *_: True))
    shares = outcomes(found)
    assert shares["capitals do not change the intent"] == 0
    assert shares["a request for a person, added to a text, is granted"] == 0
    assert shares["every intent is understood in 50% of its texts"] == 0
    assert found.evidence["failed_tests"] == 0


@pytest.mark.parametrize(
    ("says", "test"),
    [
        (lambda text: (reads(text)[0] if not text.isupper() else "loan", 0.95, 1.0), "capitals do not change"),
        (lambda text: (reads(text)[0] if "Hi" not in text and "Thank" not in text else "loan", 0.9, 1), "a greeting"),
        (lambda text: (reads(text)[0], min(0.5 + len(text) / 200, 1.0), 1.0), "another request follows"),
        (lambda text: (reads(text)[0] if "refund" not in text else "card", 0.9, 1.0), "every intent is understood"),
    ],
)
def test_a_model_with_a_fault_fails_the_test_of_it(context, contender, says, test):
    found = SuiteGate().judge(context(candidate=contender(says), hands_over=polite))
    assert found.result == "fail"
    assert max(outcomes(found).items(), key=lambda item: item[1] * (test in item[0]))[0].find(test) >= 0
    assert test in found.reason


def test_a_bot_that_keeps_customers_who_ask_for_a_person_fails(context, contender):
    found = SuiteGate().judge(context(hands_over=lambda *_: False))
    assert found.result == "fail"
    assert "a customer who asks for a person gets one" in found.reason


def written(**changes):
    base = {"name": "mine", "kind": "minimum", "cases": (Case("my card"),), "limit": 0.0}
    return Behaviour(**base | changes)


@pytest.mark.parametrize(
    ("test", "failed"),
    [
        (written(intents=frozenset({"card"})), 0),
        (written(intents=frozenset({"loan"})), 1),
        (written(intents=frozenset({"loan", "card"})), 0),
        (written(handover=False), 0),
        (written(handover=True), 1),
        (written(kind="invariance", cases=(Case("my card", "the card"),)), 0),
        (written(kind="invariance", cases=(Case("my card", "my loan"),)), 1),
        (written(kind="direction", cases=(Case("my card", "my card and loan"),), confidence="falls"), 0),
        (written(kind="direction", cases=(Case("my card and loan", "my card"),), confidence="falls"), 1),
        (written(kind="direction", cases=(Case("my card and loan", "my card"),), confidence="rises"), 0),
        (written(kind="direction", cases=(Case("my card", "my loan"),), intents=frozenset({"loan"})), 0),
    ],
)
def test_expectations_are_checked(context, test, failed):
    found = run_test(context(), test)
    assert (found.failed, found.result) == (failed, "fail" if failed else "pass")
    assert len(found.examples) == failed


def test_written_cases_are_counted_and_sampled_ones_judged_by_their_interval(context):
    cases = (*[Case("my card")] * 57, *[Case("my loan")] * 3)
    expected = {"cases": cases, "limit": 0.06, "intents": frozenset({"card"})}
    assert run_test(context(), written(**expected)).result == "pass"
    found = run_test(context(), written(**expected, sampled=True))
    assert (found.result, found.failed) == ("inconclusive", 3)
    assert found.low < 0.05 < found.high


def test_a_test_without_cases_proves_nothing(context):
    assert run_test(context(), written(cases=())).result == "inconclusive"


def test_without_enough_rows_ones_own_tests_run_but_do_not_make_it_pass(context, rows):
    mine = written(intents=frozenset({"card"}))
    assert SuiteGate().judge(context(rows=rows(30), suite=(mine,))).result == "inconclusive"
    wrong = written(intents=frozenset({"loan"}))
    assert SuiteGate().judge(context(rows=rows(30), suite=(wrong,))).result == "fail"
