from __future__ import annotations

from collections import Counter

import pytest

from headset.core.errors import InvalidInput
from headset.data.dataset import Dataset, fingerprint
from headset.training.split import check_trainable, hold_out, set_apart


def dataset(pairs, name="shop", erased=0):
    pairs = sorted(pairs)
    texts, labels = tuple(text for text, _ in pairs), tuple(label for _, label in pairs)
    return Dataset(name, texts, labels, texts, fingerprint(texts, labels), erased)


def pairs(label, count):
    return [(f"{label} {number}", label) for number in range(count)]


GOOD = dataset(pairs("refund", 40) + pairs("delivery", 21) + pairs("rare", 7))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (dataset([], erased=3), "'shop' holds 0 readable texts (3 were erased); import more"),
        (dataset(pairs("refund", 90)), "has one intent, 'refund'; a model needs at least 2, import more"),
        (dataset(pairs("a", 70) + pairs("b", 1)), "at least 7 different texts, but 'b' has 1; import more"),
        (dataset(pairs("a", 70) + [("Hi", "b"), ("hi ", "b")] * 20), "at least 7 different texts, but 'b' has 1;"),
        (dataset([("same", "a")] * 50 + [("same", "b")] * 50), "but 'a' has 1, 'b' has 0;"),
        (dataset(pairs("a", 20) + pairs("b", 20)), "has 40 different texts; at least 60 are needed, import more"),
    ],
)
def test_data_that_cannot_be_learned_from_is_refused_with_the_reason(data, problem):
    with pytest.raises(InvalidInput) as refusal:
        check_trainable(data)
    assert problem in str(refusal.value)


def test_many_scarce_intents_are_counted_not_all_named():
    data = dataset([pair for number in range(30) for pair in pairs(f"intent{number:02}", 2)])
    with pytest.raises(InvalidInput, match="and 25 more intents have too few"):
        check_trainable(data)


def test_one_text_in_seven_of_every_intent_is_held_out(seed):
    check_trainable(GOOD)
    split = hold_out(GOOD, seed)
    counts = Counter(split.test_labels)
    assert counts["rare"] == 1
    assert counts["delivery"] == 3
    assert counts["refund"] in {5, 6}


def test_every_row_is_on_one_side(seed):
    split = hold_out(GOOD, seed)
    assert sorted([*split.texts, *split.test_texts]) == list(GOOD.texts)


def test_texts_that_differ_in_case_only_stay_together(seed):
    split = hold_out(dataset([(text.upper(), label) for text, label in pairs("a", 50)] + pairs("a", 50)), seed)
    assert {text.lower() for text in split.texts}.isdisjoint(text.lower() for text in split.test_texts)


def test_equal_seeds_hold_out_equal_rows(seed):
    assert hold_out(GOOD, seed) == hold_out(GOOD, seed)
    assert hold_out(GOOD, seed) != hold_out(GOOD, seed + 1)


def test_a_model_is_not_measured_on_what_it_learned_from():
    with pytest.raises(InvalidInput, match="'copy' is what the model learns from"):
        set_apart(GOOD, dataset(zip(GOOD.texts, GOOD.labels, strict=True), name="copy"))


def test_an_empty_test_set_is_refused():
    with pytest.raises(InvalidInput, match="'empty' holds 0 readable texts"):
        set_apart(GOOD, dataset([], name="empty"))
