from __future__ import annotations

from headset.validation.fairness import FairnessGate
from headset.validation.limits import Limits


def judge(context):
    return FairnessGate().judge(context)


def blind_to(language, rows):
    """Wrong in half of the texts of one language."""
    spoken = dict(zip(rows.texts, rows.groups["language"], strict=True))

    def says(text):
        number = int(text.rpartition(" ")[2])
        right = next(intent for intent in ("card", "loan", "transfer", "refund") if intent in text)
        return right if spoken[text] != language or number % 3 else "card" if right != "card" else "loan", 0.95, 1.0

    return says


def test_equal_service_passes(context, rows):
    found = judge(context(rows=rows(1_600)))
    assert (found.result, found.evidence["failing"]) == ("pass", 0)


def test_a_group_that_is_served_worse_fails(context, contender, rows):
    many = rows(800)
    found = judge(context(candidate=contender(blind_to("es", many)), rows=many))
    assert found.result == "fail"
    assert "language es" in found.reason
    assert found.evidence["largest_gap"] > 0.2


def test_where_no_group_is_known_nothing_is_found_fair(context, rows):
    for groups in ({}, {"language": [""] * 400}):
        found = judge(context(rows=rows(400, groups=groups)))
        assert found.result == "inconclusive"
        assert "no customer's group is known" in found.reason


def test_one_text_of_each_conversation_counts(context, rows):
    found = judge(context(rows=rows(400, conversations=tuple(f"c{n // 4}" for n in range(400)))))
    assert found.evidence["n"] == 100


def test_too_few_rows_are_inconclusive(context, rows):
    assert judge(context(rows=rows(40), limits=Limits())).result == "inconclusive"
