from __future__ import annotations

from headset.validation.calibration import CalibrationGate


def judge(context):
    return CalibrationGate().judge(context)


def test_confidence_that_can_be_believed_passes(context, contender, wrong_in):
    found = judge(context(candidate=contender(wrong_in(0.05), target_precision=0.93)))
    assert found.result == "pass"
    assert found.evidence["calibration_error"] < 0.02


def test_a_model_that_is_sure_and_wrong_fails(context, contender, wrong_in):
    found = judge(context(candidate=contender(wrong_in(0.3))))
    assert found.result == "fail"
    assert found.evidence["calibration_error_low"] > 0.05
    assert found.evidence["precision_high"] < 0.95


def test_a_broken_promise_of_precision_fails_though_confidence_is_right(context, contender, wrong_in):
    found = judge(context(candidate=contender(wrong_in(0.05), target_precision=0.999)))
    assert found.result == "fail"
    assert found.evidence["calibration_error_high"] < 0.05


def test_a_model_that_answers_nothing_alone_is_inconclusive(context, contender, wrong_in):
    found = judge(context(candidate=contender(wrong_in(0.05), threshold=1.1)))
    assert found.result == "inconclusive"
    assert "answers nothing alone" in found.reason
    assert "precision" not in found.evidence


def test_too_few_rows_are_inconclusive(context, rows):
    assert judge(context(rows=rows(40))).result == "inconclusive"


def test_equal_contexts_give_equal_evidence(context, contender, wrong_in):
    one, other = (judge(context(candidate=contender(wrong_in(0.1)))) for _ in range(2))
    assert one.evidence == other.evidence
