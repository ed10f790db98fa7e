from __future__ import annotations

from headset.validation.champion import ChampionGate
from headset.validation.limits import Limits


def judge(context):
    return ChampionGate().judge(context)


def test_a_candidate_as_good_passes(context, contender, wrong_in):
    found = judge(context(candidate=contender(wrong_in(0.1)), champion=contender(wrong_in(0.1), "1")))
    assert (found.result, found.evidence["difference"]) == ("pass", 0.0)


def test_a_candidate_that_is_worse_fails(context, contender, wrong_in):
    found = judge(context(candidate=contender(wrong_in(0.1)), champion=contender(wrong_in(0.02), "1")))
    assert found.result == "fail"
    assert found.evidence["difference_high"] < 0
    assert found.evidence["p_value"] < 0.05
    assert "champion 1" in found.reason


def test_too_little_evidence_is_inconclusive_and_says_how_many_texts_settle_it(context, contender, rows, wrong_in):
    few = rows(120)
    found = judge(
        context(candidate=contender(wrong_in(0.1)), champion=contender(lambda text: ("card", 0.9, 1.0), "1"), rows=few)
    )
    assert found.result == "pass"  # far better

    def other(text):
        number = int("".join(sign for sign in text if sign.isdigit()) or 0)
        return wrong_in(0.1)(f"{text[: -len(str(number))]}{number + 40}")

    found = judge(context(candidate=contender(wrong_in(0.1)), champion=contender(other, "1"), rows=few))
    assert found.result == "inconclusive"
    assert found.evidence["needs_n"] > 120
    assert "label some" in found.reason


def test_the_margin_decides_what_may_be_lost(context, contender, wrong_in):
    pair = {"candidate": contender(wrong_in(0.04)), "champion": contender(wrong_in(0.02), "1")}
    assert judge(context(**pair)).result != "pass"
    assert judge(context(**pair, limits=Limits(margin=0.1))).result == "pass"


def test_too_few_rows_are_inconclusive(context, rows):
    found = judge(context(rows=rows(40, excluded=900)))
    assert found.result == "inconclusive"
    assert "900 more were learned from" in found.reason


def test_without_a_champion_the_recorded_baseline_must_be_beaten(context, contender, wrong_in):
    assert judge(context(candidate=contender(wrong_in(0.1), baseline_accuracy=0.5))).result == "pass"
    assert judge(context(candidate=contender(wrong_in(0.1), baseline_accuracy=0.98))).result == "fail"
    assert judge(context(candidate=contender(wrong_in(0.1), baseline_accuracy=0.9))).result == "inconclusive"


def test_without_a_recorded_baseline_the_most_frequent_intent_is_one(context, contender):
    found = judge(context(candidate=contender(lambda text: ("card", 0.9, 1.0))))
    assert (found.result, found.evidence["baseline"]) == ("inconclusive", 0.25)


def test_intents_a_model_does_not_know_count_as_errors(context, contender, rows):
    found = judge(context(champion=contender(lambda text: ("card", 0.9, 1.0), "1", labels=("card", "x"))))
    assert found.evidence["champion_accuracy"] == 0.25
