from __future__ import annotations

import struct

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
