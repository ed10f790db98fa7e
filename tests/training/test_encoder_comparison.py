"""Encoders beside each other: the same rows, honest costs, and what a queue would win."""

from __future__ import annotations

from io import StringIO
from itertools import count
from random import Random

import msgspec
import numpy as np
import pytest
from rich.console import Console

from headset.core.clock import ManualClock
from headset.core.errors import InvalidInput
from headset.data.dataset import Dataset
from headset.page.document import render as render_page
from headset.training.encoder_comparison import compare_encoders
from headset.training.encoder_report import choice, draw_encoders, make_page, render, verdicts

INTENTS = ("battery", "coverage", "discount", "parcel")


def word(random):
    return "".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=8))


SYNONYMS = {word(random): intent for random in [Random(7)] for intent in INTENTS for _ in range(80)}
"""Many words for each intent: what n-grams saw of one says nothing of the others."""


class Encoder:
    """Knows what words mean, or, where it is not ``wise``, nothing."""

    def __init__(self, *, wise):
        self.wise = wise
        self.version, self.dim = f"made-up-{wise}", len(INTENTS)
        self.encoded = []

    def encode(self, texts):
        self.encoded.append(len(texts))
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            if self.wise:
                vector[INTENTS.index(SYNONYMS[text.split()[-1]])] = 1
        return vectors


def made_up(name, random, rows):
    told = [
        (f"{word(random)} {word(random)} {synonym}", SYNONYMS[synonym])
        for synonym in random.choices(list(SYNONYMS), k=rows)
    ]
    texts, labels = zip(*sorted(told), strict=True)
    return Dataset(name, texts, labels, texts, name)


@pytest.fixture(scope="module")
def data():
    random = Random(7)
    return made_up("shop", random, 160), made_up("shop-test", random, 120)


def run(data, encoders, absent=None, **changes):
    ticks = count()
    settings = {
        "absent": absent or {}, "seed": 7, "target_precision": 0.8, "clock": ManualClock(1_000_000),
        "cpu": lambda: next(ticks) * 0.5, "progress": lambda *_: None,
    }  # fmt: skip
    return compare_encoders(*data, encoders, **settings | changes)


@pytest.fixture(scope="module")
def found(data):
    return run(data, {"static": Encoder(wise=False), "fine": Encoder(wise=True)})


def test_an_encoder_that_sees_more_is_found_better_and_the_pairs_prove_it(found):
    blind, seeing = found.results
    assert seeing.metrics.accuracy > blind.metrics.accuracy + 0.05
    pair = found.paired["fine"]
    assert (pair.accuracy, pair.baseline_accuracy) == (seeing.metrics.accuracy, blind.metrics.accuracy)
    assert pair.p_value < 0.05
    assert "beyond chance" in verdicts(found)[0]


def test_cost_is_that_of_the_cpu_clock_over_the_texts_that_were_timed(found):
    assert [each.ms_per_turn for each in found.results] == [pytest.approx(0.5 / 120 * 1e3)] * 2


def test_training_encodes_each_text_once_and_the_cost_is_taken_one_text_at_a_time(data):
    encoder = Encoder(wise=False)
    run(data, {"static": encoder})
    many = [size for size in encoder.encoded if size > 1]
    assert sum(many) <= len(data[0].texts) + len(data[1].texts)
    assert encoder.encoded.count(1) == 20 + 3 * 120


def test_equal_seeds_compare_equally(data, found):
    assert run(data, {"static": Encoder(wise=False), "fine": Encoder(wise=True)}) == found


def test_intents_left_out_are_told_from_known_ones_only_by_what_is_seen(found):
    assert len(found.left_out) == 1
    assert set(found.left_out) < set(INTENTS)
    blind, seeing = found.results
    assert seeing.scope_auroc > max(0.9, blind.scope_auroc)


def test_two_intents_are_too_few(data):
    few = [
        msgspec.structs.replace(
            each,
            texts=tuple(t for t, label in zip(each.texts, each.labels, strict=True) if label in INTENTS[:2]),
            labels=tuple(label for label in each.labels if label in INTENTS[:2]),
        )
        for each in data
    ]
    with pytest.raises(InvalidInput, match="needs at least 3"):
        run(few, {"static": Encoder(wise=False)})


def test_test_data_without_the_intents_left_out_are_refused(data, found):
    known = [row for row, label in enumerate(data[1].labels) if label not in found.left_out]
    test = msgspec.structs.replace(
        data[1], texts=tuple(data[1].texts[row] for row in known), labels=tuple(data[1].labels[row] for row in known)
    )
    with pytest.raises(InvalidInput, match="0 of left out intents"):
        run((data[0], test), {"static": Encoder(wise=False)})


def test_the_report_says_what_is_won_and_paid_and_how_to_choose(found):
    told = StringIO()
    Console(file=told, width=160).print(render(found))
    page = render_page(make_page(found, draw_encoders(found)))
    for text in (told.getvalue(), page):
        assert "fine against static: accuracy +" in text
        assert "ms of CPU a turn instead of" in text
        assert "queue_models" in text


def test_where_only_the_default_is_there_the_report_says_why(data):
    alone = run(data, {"static": Encoder(wise=False)}, absent={"minilm": "it was not built"})
    assert verdicts(alone) == ["minilm was not compared: it was not built."]
    assert choice(alone) == []
    assert draw_encoders(alone).startswith(b"\x89PNG")
