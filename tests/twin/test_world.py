"""A scenario with its words and its bot."""

from __future__ import annotations

import msgspec
import pytest

from headset.core.errors import InvalidInput
from headset.twin.catalogue import PERSON, dataset_catalogue
from headset.twin.utterance import DatasetUtterances, PhrasebookUtterances
from headset.twin.world import make_world

TEXTS = {"a": ["first a", "second a"], "b": ["only b"]}


@pytest.fixture
def own(small):
    return small(
        texts={"dataset": "own"},
        languages={"en": 1.0},
        intents={},
        queues={"care": {}},
        teams=[{"name": "all", "agents": 1, "queues": ["care"], "languages": ["en"]}],
        check=dataset_catalogue(TEXTS),
    )


def test_without_a_data_set_the_words_are_the_phrasebooks(small):
    world = make_world(small())
    assert isinstance(world.utterances, PhrasebookUtterances)
    assert PERSON in world.catalogue.groups
    assert [each.version for each in world.bot.versions] == ["made-up"]


def test_a_data_sets_labels_are_the_intents(own):
    world = make_world(own, texts=TEXTS)
    assert isinstance(world.utterances, DatasetUtterances)
    assert world.catalogue.usual == ("a", "b")


def test_a_data_set_that_is_not_given_is_asked_for(own):
    with pytest.raises(InvalidInput, match="'own'; name the home folder that holds it with --home"):
        make_world(own)


def test_a_scenario_without_arms_has_no_bot(small):
    assert make_world(small(bot={"arms": []})).bot is None


def test_a_scenario_that_cannot_happen_is_refused(small):
    scenario = msgspec.structs.replace(small(), languages={"en": 0.5})
    with pytest.raises(InvalidInput, match="languages"):
        make_world(scenario)


def test_a_data_sets_centre_runs_though_nobody_can_say_thank_you(own, simulate):
    world = make_world(own, texts=TEXTS)
    run = simulate(own, world=world)
    assert run.tally.contacts > 500
    assert {each.details[0] for each in run.stage.all("ask")} == {
        "ask", "retry", "person", "agreement", "question", "complaint",
    }  # fmt: skip
