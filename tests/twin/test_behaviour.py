"""A model drawn from what its test saw: right on average, and as uncertain as the test leaves it."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headset.registry.confusion import Confusion
from headset.twin.behaviour import behave_as, behave_like, imagine
from headset.twin.catalogue import phrasebook_catalogue
from headset.twin.scenario import BotArm

DRAWS = 1_000


def confusion(counts, *, right=0.9, wrong=0.4, intents=None):
    """With confidences that are all alike, unless given by intent."""
    rights = [counts[place][place] for place in range(len(counts))]
    wrongs = [sum(row) - row[place] for place, row in enumerate(counts)]
    return Confusion(
        intents=tuple(intents or "abcdefgh"[: len(counts)]),
        counts=tuple(map(tuple, counts)),
        right=right if isinstance(right, tuple) else tuple((right,) * count for count in rights),
        wrong=wrong if isinstance(wrong, tuple) else tuple((wrong,) * count for count in wrongs),
        threshold=0.7,
    )


@st.composite
def confusions(draw):
    size = draw(st.integers(1, 4))
    counts = draw(
        st.lists(st.lists(st.integers(0, 3), min_size=size, max_size=size), min_size=size, max_size=size)
        .filter(lambda rows: any(map(any, rows)))
    )  # fmt: skip
    return confusion(counts, right=draw(st.sampled_from([0.0, 0.9, 1.0])))


def share(behaviour, intent, said):
    """How often it says ``said``: the slice of its wheel."""
    wheel = behaviour._said[intent]
    bounds = [0.0, *wheel._bounds, wheel._total]
    slices = dict(zip(wheel._things, np.diff(bounds) / wheel._total, strict=True))
    return slices.get(said, 0.0)


def imagined(seen, count=DRAWS):
    generator = np.random.default_rng(7)
    return [imagine(seen, generator) for _ in range(count)]


def test_draws_are_right_on_average_and_spread_as_a_beta():
    seen = confusion([[16, 4], [0, 20]])
    prior = (36 + 0.5) / 41
    rights = np.array([share(one, "a", "a") for one in imagined(seen)])
    mean = (16 + prior) / 21
    spread = np.sqrt(mean * (1 - mean) / 22)
    assert rights.mean() == pytest.approx(mean, abs=4 * spread / np.sqrt(DRAWS))
    assert rights.std() == pytest.approx(spread, rel=0.1)


def test_an_intent_never_tested_is_right_as_often_as_the_others_and_uncertain():
    seen = confusion([[8, 2, 0], [0, 10, 0], [0, 0, 0]])
    rights = np.array([share(one, "c", "c") for one in imagined(seen)])
    assert rights.mean() == pytest.approx(18.5 / 21, abs=0.03)
    assert rights.std() == pytest.approx(np.sqrt(18.5 / 21 * 2.5 / 21 / 2), rel=0.1)


def test_its_errors_are_those_of_the_others():
    seen = confusion([[8, 2, 0, 0], [0, 10, 0, 0], [0, 0, 0, 0], [0, 3, 0, 7]])
    like = behave_like(seen)
    assert share(like, "c", "b") > 4 * max(share(like, "c", "a"), share(like, "c", "d"))


def test_confidences_are_drawn_by_intent():
    high, low = (0.9,) * 30 + (0.5,) * 10, (0.9,) * 10 + (0.5,) * 30
    seen = confusion([[40, 0], [0, 40]], right=(high, low))
    above = np.array(
        [[np.mean(np.array(one._sureness[intent].right) > 0.7) for intent in seen.intents] for one in imagined(seen)]
    )
    assert above.mean(axis=0) == pytest.approx([30.5 / 41, 10.5 / 41], abs=0.01)
    assert above.std(axis=0) == pytest.approx([np.sqrt(30.5 * 10.5 / 41**2 / 42)] * 2, rel=0.1)


def test_taken_at_its_word_it_does_as_the_test_saw():
    seen = confusion([[800, 200], [100, 900]])
    behaviour, random = behave_like(seen), Random(7)
    said = [behaviour.predict("a", random) for _ in range(10_000)]
    assert np.mean([one.intent == "a" for one in said]) == pytest.approx(0.8, abs=0.015)
    assert {(one.intent, one.confidence) for one in said if one.confidence in {0.4, 0.9}} == {("a", 0.9), ("b", 0.4)}


def test_an_intent_it_never_learned_is_never_right():
    for behaviour in (behave_like(confusion([[9, 1], [2, 8]])), *imagined(confusion([[9, 1], [2, 8]]), 5)):
        random = Random(7)
        said = [behaviour.predict("unheard of", random) for _ in range(200)]
        assert {one.intent for one in said} == {"a", "b"}
        assert {one.confidence for one in said} <= {0.4, 0.9}


def test_a_model_of_one_intent_says_it_always():
    for behaviour in (behave_like(confusion([[3]])), *imagined(confusion([[3]]), 5)):
        random = Random(7)
        assert behaviour.predict("a", random, accuracy_loss=1.0).intent == "a"
        assert behaviour.predict("b", random).intent == "a"


@pytest.mark.parametrize("asked", ["b", "unheard of"])
def test_its_second_answer_is_any_other_one(asked):
    behaviour, random = behave_like(confusion(np.diag([9] * 4).tolist())), Random(7)
    said = [behaviour.predict(asked, random) for _ in range(6_000)]
    for answer in "b" if asked == "b" else "abcd":
        seconds = [one.second for one in said if one.intent == answer]
        others = sorted({*"abcd"} - {answer})
        assert sorted({*seconds}) == others
        assert [seconds.count(other) / len(seconds) for other in others] == pytest.approx([1 / 3] * 3, abs=0.06)


def test_lost_accuracy_is_lost_to_its_usual_errors():
    behaviour, random = behave_like(confusion([[800, 200], [0, 1000]])), Random(7)
    said = [behaviour.predict("a", random, accuracy_loss=0.5).intent for _ in range(10_000)]
    assert said.count("a") == pytest.approx(4_000, abs=200)


@settings(max_examples=50, deadline=None)
@given(confusions(), st.integers(0, 99), st.floats(0, 1))
def test_whatever_was_seen_gives_a_model_of_these_intents(seen, seed, accuracy_loss):
    random, generator = Random(seed), np.random.default_rng(seed)
    known = {value for some in (*seen.right, *seen.wrong) for value in some}
    for behaviour in (behave_like(seen), imagine(seen, generator)):
        for intent in (*seen.intents, "unheard of"):
            said = behaviour.predict(intent, random, accuracy_loss=accuracy_loss)
            assert {said.intent, said.second} <= {*seen.intents, intent}
            assert said.confidence in known


def test_equal_generators_imagine_equal_models():
    seen = confusion([[9, 1], [2, 8]])
    one, other = (imagine(seen, np.random.default_rng(7)) for _ in range(2))
    assert [one.predict("a", Random(1)) for _ in range(50)] == [other.predict("a", Random(1)) for _ in range(50)]


def test_a_made_up_model_confuses_within_a_group_above_all():
    catalogue = phrasebook_catalogue()
    behaviour, random = behave_as(BotArm(accuracy=0.6), catalogue), Random(7)
    said = [behaviour.predict("late_fee", random).intent for _ in range(5_000)]
    wrong = [intent for intent in said if intent != "late_fee"]
    assert len(wrong) == pytest.approx(2_000, abs=150)
    near = sum(catalogue.groups[intent] == catalogue.groups["late_fee"] for intent in wrong)
    assert near / len(wrong) > 0.7


def test_a_made_up_model_is_surer_where_it_is_right():
    behaviour = behave_as(BotArm(sureness=0.6), phrasebook_catalogue())
    sureness = behaviour._sureness["late_fee"]
    assert np.mean(sureness.right) == pytest.approx(0.62 + 0.3 * 0.6, abs=1e-3)
    assert np.mean(sureness.wrong) == pytest.approx(0.62 - 0.3 * 0.6, abs=1e-3)
    assert np.var(sureness.right) == pytest.approx(0.8 * 0.2 / 9, rel=0.02)
