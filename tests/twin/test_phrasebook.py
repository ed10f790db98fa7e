from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from headset.core.errors import InvalidInput
from headset.serving.policy import asks_for_human
from headset.twin.grammar import expand
from headset.twin.phrasebook import LANGUAGES, load_phrasebook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headset.twin.phrasebook import Phrasebook

EMERGENT = {"storm_outage", "app_login_loop", "price_rise", "scam_texts"}
REFERENCE = {"reference": ("123456",)}


def templates_of(book: Phrasebook) -> Iterator[str]:
    for intent in [*book.intents.values(), *book.emergent.values()]:
        yield from intent.asks
    for group in book.groups.values():
        yield from group.background
        yield from group.subjects
    for part in [*book.vague.values(), *msgspec.structs.astuple(book.phrases), *msgspec.structs.astuple(book.email)]:
        yield from part
    yield from book.voice.starts


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_template_expands(language):
    book = load_phrasebook(language)
    for template in templates_of(book):
        for seed in range(6):
            text = expand(template, book.slots | REFERENCE, Random(seed))
            assert text
            assert not re.search(r"[(){}|]", text), template


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_slot_is_defined_and_used(language):
    book = load_phrasebook(language)
    values = [value for values in book.slots.values() for value in values]
    used = {name for text in [*templates_of(book), *values] for name in re.findall(r"\{(\w+)\}", text)}
    assert used == set(book.slots) | {"reference"}
    assert all("{reference}" in detail for detail in book.email.details)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_group_and_vague_name_exists_and_is_used(language):
    book = load_phrasebook(language)
    intents = [*book.intents.values(), *book.emergent.values()]
    assert {intent.group for intent in intents} == set(book.groups)
    assert {intent.vague for intent in intents} - {None} == set(book.vague)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_intents_in_the_same_groups(language):
    book, english = load_phrasebook(language), load_phrasebook("en")
    assert {name: intent.group for name, intent in book.intents.items()} == {
        name: intent.group for name, intent in english.intents.items()
    }
    assert {name: intent.group for name, intent in book.emergent.items()} == {
        name: intent.group for name, intent in english.emergent.items()
    }
    assert set(book.emergent) == EMERGENT
    assert set(book.vague) == set(english.vague)
    assert {name for name, group in book.groups.items() if not group.background} == {"closing"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_intent_has_three_replies_that_are_said_as_they_stand(language):
    book = load_phrasebook(language)
    for intent in [*book.intents.values(), *book.emergent.values()]:
        assert 3 <= len(set(intent.replies)) <= 6
        assert not any(re.search(r"[(){}|]", reply) for reply in intent.replies)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_policy_understands_every_wish_for_a_person(language):
    book = load_phrasebook(language)
    texts = {expand(one, book.slots, Random(seed)) for one in book.phrases.person for seed in range(40)}
    assert not [text for text in texts if not asks_for_human(text)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_is_misheard_as_itself(language):
    misheard = load_phrasebook(language).voice.misheard
    assert len(misheard) >= 40
    assert not [word for word, others in misheard.items() if word.lower() in {other.lower() for other in others}]


def test_an_intent_is_found_whether_emergent_or_not():
    book = load_phrasebook("en")
    assert book.intent("roaming") is book.intents["roaming"]
    assert book.intent("price_rise") is book.emergent["price_rise"]
    with pytest.raises(KeyError):
        book.intent("moon_landing")


def test_a_language_without_phrasebook_is_refused():
    with pytest.raises(InvalidInput, match="there are en, es, de"):
        load_phrasebook("fr")
