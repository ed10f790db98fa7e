"""Labelled texts to train on."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from headset.twin.catalogue import dataset_catalogue
from headset.twin.example import write_examples
from headset.twin.world import make_world


@pytest.fixture
def world(small):
    return make_world(small())


def test_every_usual_intent_comes_equally_often(world):
    found = write_examples(world, 290, Random(1))
    assert Counter(each.label for each in found) == dict.fromkeys(world.catalogue.usual, 10)
    assert all(each.text.strip() for each in found)


def test_languages_and_channels_come_as_the_scenario_mixes_them(world):
    found = write_examples(world, 1_000, Random(1))
    assert Counter(each.language for each in found)["en"] == pytest.approx(700, abs=60)
    assert Counter(each.channel for each in found)["email"] == pytest.approx(200, abs=60)


def test_one_language_and_one_channel_can_be_asked_for(world):
    found = write_examples(world, 60, Random(1), language="de", channel="voice")
    assert {(each.language, each.channel) for each in found} == {("de", "voice")}


def test_equal_seeds_write_equal_examples(world):
    assert write_examples(world, 50, Random(3)) == write_examples(world, 50, Random(3))
    assert write_examples(world, 50, Random(3)) != write_examples(world, 50, Random(4))


def test_the_order_says_nothing_of_the_label(world):
    found = write_examples(world, 580, Random(1))
    labels = [each.label for each in found]
    assert labels != sorted(labels)
    assert len(set(labels[:29])) < 29


def test_a_data_sets_texts_are_its_own(small):
    texts = {"a": ["first a", "second a"], "b": ["only b"]}
    scenario = small(
        texts={"dataset": "own"},
        languages={"en": 1.0},
        intents={},
        queues={"care": {}},
        teams=[{"name": "all", "agents": 1, "queues": ["care"], "languages": ["en"]}],
        check=dataset_catalogue(texts),
    )
    world = make_world(scenario, texts=texts)
    found = write_examples(world, 40, Random(1), channel="chat")
    assert Counter(each.label for each in found) == {"a": 20, "b": 20}
