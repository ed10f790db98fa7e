from __future__ import annotations

import pytest

from headset.twin.phrasebook import load_phrasebook
from headset.validation.foreign import make_foreign
from headset.validation.out_of_scope import OutOfScopeGate


def judge(context):
    return OutOfScopeGate().judge(context)


def test_a_model_that_knows_its_scope_passes(context):
    found = judge(context())
    assert (found.result, found.evidence["auroc"], found.evidence["false_answer"]) == ("pass", 1.0, 0.0)
    assert found.evidence["auroc_low"] < 1  # 60 texts are no proof of perfection


def test_a_model_that_takes_everything_for_its_own_fails(context, contender):
    found = judge(context(candidate=contender(lambda text: ("card", 0.9, 1.0))))
    assert (found.result, found.evidence["auroc"], found.evidence["false_answer"]) == ("fail", 0.5, 1.0)


def test_a_person_who_would_answer_makes_no_false_answer(context, contender):
    sure = contender(lambda text: ("card", 0.9, -1.0 if "lorem" in text else 1.0))
    assert judge(context(candidate=sure)).result == "fail"
    found = judge(context(candidate=sure, hands_over=lambda text, *_: "lorem" in text))
    assert (found.result, found.evidence["false_answer"]) == ("pass", 0.0)


@pytest.mark.parametrize("foreign", [{}, {"few": ("lorem",) * 10}])
def test_without_texts_out_of_scope_nothing_is_known(context, foreign):
    found = judge(context(foreign=foreign))
    assert found.result == "inconclusive"
    assert "--out-of-scope" in found.reason


def test_texts_of_the_twins_trade_are_foreign_only_to_other_trades(seed):
    assert "telecom" in make_foreign(["card_arrival"], seed)
    assert "telecom" not in make_foreign([next(iter(load_phrasebook("en").intents))], seed)


def test_foreign_texts_are_different_filled_in_and_seeded(seed):
    made = make_foreign([], seed)
    assert made == make_foreign([], seed) != make_foreign([], seed + 1)
    texts = [text for kind in made.values() for text in kind]
    assert not any(sign in text for text in texts for sign in "{}|")
    assert len(set(made["other topics"])) == 240
