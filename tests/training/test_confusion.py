from __future__ import annotations

import struct

import numpy as np
import pytest

from headset.registry.confusion import observe
from headset.training.confusion import confused_pairs, draw_confusion, pairs_table


def size(png):
    assert png.startswith(b"\x89PNG")
    return struct.unpack(">II", png[16:24])


def test_the_most_frequent_confusion_comes_first():
    pairs = confused_pairs(["a", "b", "b", "b"], ["b", "c", "c", "b"])
    assert [(pair.intent, pair.predicted, pair.count) for pair in pairs] == [("b", "c", 2), ("a", "b", 1)]


def test_the_table_quotes_labels_with_commas():
    assert pairs_table(confused_pairs(["a, b"], ["c"])).splitlines()[1] == '"a, b",c,1,1.0000'


def test_the_picture_has_room_for_every_label():
    labels = [f"an_intent_with_a_long_name_{number}" for number in range(77)]
    width, height = size(draw_confusion(labels, [*labels[1:], labels[0]]))
    assert min(width, height) > 77 * 20


def test_any_label_can_be_drawn():
    size(draw_confusion(["a $x_1$ {b", "收到卡", "x" * 128], ["收到卡"] * 3))


def test_every_test_row_of_a_known_intent_is_observed_once():
    generator = np.random.default_rng(7)
    truth = generator.choice(["a", "b", "never learned"], 200).tolist()
    predicted = generator.choice(["a", "b", "c"], 200).tolist()
    sure = generator.random(200)
    seen = observe(["a", "b", "c"], truth, predicted, sure, 0.7)
    counts = np.array(seen.counts)
    assert (counts.sum(), seen.unlearned) == (200 - truth.count("never learned"), truth.count("never learned"))
    assert [len(some) for some in seen.right] == np.diag(counts).tolist()
    assert [len(some) for some in seen.wrong] == (counts.sum(axis=1) - np.diag(counts)).tolist()
    kept = sorted(value for some in (*seen.right, *seen.wrong) for value in some)
    known = sorted(sure[[intent != "never learned" for intent in truth]])
    assert kept == pytest.approx(known, abs=5.1e-5)


def test_a_confidence_a_hair_above_one_is_one():
    assert observe(["a"], ["a"], ["a"], np.array([1 + 1e-4]), 0.7).right == ((1.0,),)
