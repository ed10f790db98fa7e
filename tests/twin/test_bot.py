"""What the bot makes of a customer, and whether it answers alone."""

from __future__ import annotations

from random import Random
from statistics import fmean
from types import SimpleNamespace

import numpy as np
import pytest

from headset.twin.behaviour import Behaviour, Sureness
from headset.twin.bot import Bot, BotVersion, Guess, Reader, made_up_bot
from headset.twin.catalogue import PERSON, THANKS, dataset_catalogue
from headset.twin.customer import Customer
from headset.twin.scenario import Bot as BotTable
from headset.twin.scenario import BotArm
from headset.twin.stage import Contact

REQUESTS = ("ask", "retry", "person", "thanks", "agreement", "question", "complaint")


def contact(intent="roaming", number=1, arm=0, accuracy_loss=0.0):
    made = Contact(f"c-{number}", Customer("ana", "en", {}, arm), intent, "chat", 0.0, "1")
    made.accuracy_loss = accuracy_loss
    return made


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("intent", ["roaming", "storm_outage", "speak_to_human"])
def test_a_made_up_bot_says_only_what_models_learn(catalogue, request_, intent):
    bot = made_up_bot(BotTable(), catalogue)
    read = [bot.read(contact(intent, number), request_).prediction for number in range(300)]
    assert {prediction.intent for prediction in read} <= set(catalogue.usual)
    assert {prediction.second for prediction in read} <= set(catalogue.usual)
    assert all(0 <= prediction.confidence <= 1 for prediction in read)


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_bot_made_up_for_a_data_set_says_only_its_labels(request_):
    bot = made_up_bot(BotTable(), dataset_catalogue(["a", "b", "c"]))
    read = [bot.read(contact("a", number), request_).prediction for number in range(100)]
    assert {prediction.intent for prediction in read} | {prediction.second for prediction in read} <= {"a", "b", "c"}


@pytest.mark.parametrize("accuracy", [0.0, 0.5, 0.9, 1.0])
def test_a_made_up_bot_is_as_often_right_as_its_arm_says(catalogue, accuracy):
    bot = made_up_bot(BotTable(arms=(BotArm(accuracy=accuracy),)), catalogue)
    right = [bot.read(contact("roaming", number), "ask").prediction.intent == "roaming" for number in range(2_000)]
    assert fmean(right) == pytest.approx(accuracy, abs=0.035)


def test_it_reads_whom_it_is_unfair_to_worse(catalogue):
    bot = made_up_bot(BotTable(arms=(BotArm(accuracy=0.9),)), catalogue)
    read = [bot.read(contact("roaming", number, accuracy_loss=0.4), "ask") for number in range(2_000)]
    assert fmean(each.prediction.intent == "roaming" for each in read) == pytest.approx(0.9 * 0.6, abs=0.035)


def test_a_farewell_is_not_handed_off(catalogue):
    bot = made_up_bot(BotTable(), catalogue)
    read = [bot.read(contact(number=number), "thanks") for number in range(200)]
    assert {(each.route, each.reason) for each in read} == {("bot", "confident")}
    assert fmean(each.prediction.intent == THANKS for each in read) > 0.8


@pytest.mark.parametrize("request_", ["ask", "retry", "person"])
def test_who_asks_for_a_person_is_handed_off_however_sure_the_bot_is(catalogue, request_):
    bot = made_up_bot(BotTable(threshold=0.0), catalogue)
    reading = bot.read(contact(PERSON if request_ != "person" else "roaming"), request_)
    assert (reading.route, reading.reason) == ("human", "asked_for_human")


def test_below_the_threshold_a_person_answers_and_from_it_on_the_bot():
    sureness = {"roaming": Sureness([0.6, 0.7, 0.8], [0.5])}
    guess = Guess(Behaviour({"roaming": {"roaming": 1.0}}, sureness, [0.1]))
    bot = Bot((BotVersion("1", guess, 0.7),))
    for number in range(50):
        reading = bot.read(contact(number=number), "ask")
        expected = ("bot", "confident") if reading.prediction.confidence >= 0.7 else ("human", "low_confidence")
        assert (reading.route, reading.reason) == expected


def test_each_customer_stays_with_the_version_of_their_arm(catalogue):
    bot = made_up_bot(BotTable(arms=(BotArm("1", 0.5, 1.0), BotArm("2", 0.5, 0.0))), catalogue)
    for arm, right in ((0, True), (1, False)):
        one = contact(arm=arm)
        assert bot.version(one).version == str(arm + 1)
        assert (bot.read(one, "ask").prediction.intent == "roaming") is right


def test_arms_described_alike_behave_alike(catalogue):
    bot = made_up_bot(BotTable(arms=(BotArm("1", 0.5), BotArm("2", 0.5))), catalogue)
    for number in range(100):
        one, other = (bot.read(contact(number=number, arm=arm), "ask") for arm in (0, 1))
        assert one == other


def test_equal_contacts_are_read_alike(catalogue):
    one, other = (made_up_bot(BotTable(), catalogue).read(contact(), "ask") for _ in range(2))
    assert one == other


def test_a_reader_says_the_best_and_the_second_best_of_what_the_text_scores():
    texts = []

    def score(given, vectors):
        texts.extend(given)
        return SimpleNamespace(probabilities=np.array([[0.1, 0.6, 0.3]]))

    scorer = SimpleNamespace(labels=["a", "b", "c"], score=score)
    encoder = SimpleNamespace(encode=lambda given: np.zeros((len(given), 2)))
    bot = Bot((BotVersion("3", Reader(scorer, encoder), 0.5),))
    reading = bot.read(contact(), "ask", "what now")
    assert texts == ["what now"]
    assert (reading.prediction.intent, reading.prediction.confidence, reading.prediction.second) == ("b", 0.6, "c")
    assert reading.route == "bot"
    assert bot.needs_text


def test_a_made_up_bot_needs_no_text(catalogue):
    assert not made_up_bot(BotTable(), catalogue).needs_text


def test_what_is_read_of_a_question_does_not_depend_on_the_words_said(catalogue):
    bot = made_up_bot(BotTable(), catalogue)
    silent, talkative = contact(), contact()
    for _ in range(5):
        talkative.words.random()
        bot.read(talkative, "question")
    assert isinstance(silent.random, Random)
    assert bot.read(silent, "ask") == bot.read(talkative, "ask")
