from __future__ import annotations

import re
from random import Random
from typing import get_args

import pytest

from headset.core.errors import InvalidInput
from headset.events.redaction import redact
from headset.serving.policy import asks_for_human
from headset.twin.phrasebook import LANGUAGES, load_phrasebook
from headset.twin.scenario import Channel, Texts
from headset.twin.utterance import DatasetUtterances, PhrasebookUtterances, PhraseKind, Utterances

CHANNELS = get_args(Channel)
ERRORS = Texts().error_ratio
BOOKS = PhrasebookUtterances()
DATASET = DatasetUtterances({"card_lost": ("I lost my card", "where is my new card"), "empty": ()}, "en")


def intents(language):
    book = load_phrasebook(language)
    return [*book.intents, *book.emergent]


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_holds_what_redaction_would_take_out(language, channel):
    random = Random(7)
    texts = [
        BOOKS.ask(intent, language, channel, random, again=random.random() < 0.2, error_ratio=ERRORS)
        for intent in intents(language)
        for _ in range(80)
    ]
    texts += [
        BOOKS.say(kind, language, channel, "customer", random, error_ratio=ERRORS) for kind in get_args(PhraseKind) * 20
    ]
    assert not [text for text in texts if redact(text).counts]
    assert all(text.strip() and not re.search(r"[{}|]|[^:]\(", text) for text in texts)


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_an_intent_is_asked_for_in_thousands_of_ways(language, channel):
    random = Random(7)
    texts = {BOOKS.ask("delivery_status", language, channel, random) for _ in range(3_000)}
    assert len(texts) > 2_000


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("again", [False, True])
def test_equal_seeds_give_equal_texts(language, channel, again):
    def texts() -> list[str]:
        random = Random(3)
        return [BOOKS.ask(intent, language, channel, random, again=again) for intent in intents(language)]

    assert texts() == texts()


@pytest.mark.parametrize("language", LANGUAGES)
def test_agents_write_cleanly_and_customers_as_their_channel_has_it(language):
    for kind in get_args(PhraseKind):
        for seed in range(30):
            said = {channel: BOOKS.say(kind, language, channel, "agent", Random(seed)) for channel in CHANNELS}
            assert len(set(said.values())) == 1
            assert said["voice"][0].lower() != said["voice"][0] or not said["voice"][0].isalpha()
            assert said["voice"][-1] in ".?!"
    heard = BOOKS.say("complaints", language, "voice", "customer", Random(1))
    assert re.fullmatch(r"[\w' ]+", heard)


def test_a_wish_for_a_person_mostly_survives_the_channel():
    for language in LANGUAGES:
        for channel in CHANNELS:
            texts = [BOOKS.say("person", language, channel, "customer", Random(n), error_ratio=0) for n in range(200)]
            assert sum(map(asks_for_human, texts)) > 160


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_says_it_again_leads_in_to_it(language):
    leads = tuple(load_phrasebook(language).phrases.retries)
    texts = [BOOKS.ask("voicemail", language, "chat", Random(seed), again=True) for seed in range(200)]
    assert sum(text.startswith(leads) for text in texts) > 60


def test_renamed_words_are_replaced_whole_and_in_any_case():
    renamed = {"router": "hub", "the router": "the hub", "Home 500": "Skyline"}
    random = Random(5)
    texts = [BOOKS.ask("router_setup", "en", "chat", random, renamed=renamed) for _ in range(500)]
    assert not [text for text in texts if re.search(r"\brouter\b|\bhome 500\b", text, re.IGNORECASE)]
    assert sum("hub" in text.lower() for text in texts) > 100
    assert BOOKS.ask("router_setup", "en", "chat", Random(1), renamed={"rout": "x"}) == BOOKS.ask(
        "router_setup", "en", "chat", Random(1)
    )


def test_neighbouring_intents_share_vague_questions_unless_told_otherwise():
    clear = PhrasebookUtterances(vague_ratio=0, background_ratio=0)
    vague = PhrasebookUtterances(vague_ratio=1)
    texts = {clear.ask("outage_report", "en", "voice", Random(n), error_ratio=0) for n in range(500)}
    assert not any("wifi problem again" in text for text in texts)
    assert any("wifi problem again" in vague.ask("outage_report", "en", "voice", Random(n)) for n in range(100))


def test_a_reply_fits_the_question():
    for seed in range(20):
        reply = BOOKS.reply("voicemail", "de", "Bitte die Mailbox abschalten", Random(seed))
        assert reply in load_phrasebook("de").intents["voicemail"].replies
    replies = {BOOKS.reply("scam_texts", "en", "?", Random(seed)) for seed in range(50)}
    assert replies == set(load_phrasebook("en").emergent["scam_texts"].replies)


def test_texts_of_a_data_set_are_themselves_in_a_chat_read_out_on_voice_and_framed_in_a_mail():
    random = Random(1)
    texts = DATASET.texts["card_lost"]
    assert {DATASET.ask("card_lost", "en", "chat", random) for _ in range(20)} == set(texts)
    assert "where is my pass" in {
        DATASET.ask("card_lost", "en", "chat", random, renamed={"new card": "pass"}) for _ in range(20)
    }
    heard = [DATASET.ask("card_lost", "en", "voice", random, error_ratio=0) for _ in range(50)]
    assert any("i lost my card" in text for text in heard)
    assert len(set(heard)) > 10
    mails = [DATASET.ask("card_lost", "en", "email", random) for _ in range(50)]
    assert any("Subject: " in mail and "Where is my new card?" in mail for mail in mails)
    assert DATASET.ask("card_lost", "en", "chat", random, again=True) not in texts
    assert DATASET.reply("card_lost", "en", "?", random) in load_phrasebook("en").phrases.confirmations


@pytest.mark.parametrize("utterances", [BOOKS, DATASET])
def test_an_unknown_intent_or_language_is_refused(utterances: Utterances):
    for refuse in (utterances.ask, utterances.reply):
        with pytest.raises(InvalidInput, match="intent"):
            refuse("moon_landing", "en", "chat", Random(1))
        with pytest.raises(InvalidInput, match="language"):
            refuse("card_lost", "fr", "chat", Random(1))
    with pytest.raises(InvalidInput, match="no texts in this data set"):
        DATASET.ask("empty", "en", "chat", Random(1))
    with pytest.raises(InvalidInput, match="this data set is 'en'"):
        DATASET.ask("card_lost", "de", "chat", Random(1))
