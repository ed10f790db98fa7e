from __future__ import annotations

from collections import Counter
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from headset.core.errors import InvalidInput
from headset.twin.customer import Population
from headset.twin.scenario import BotArm, read_scenario

SCENARIO = read_scenario("quiet_week")
COUNT = SCENARIO.customers.count


@given(st.integers(min_value=0), st.lists(st.integers(min_value=0, max_value=COUNT - 1), max_size=10))
def test_equal_seeds_give_equal_people_in_any_order(seed, numbers):
    one, other = Population(SCENARIO, seed), Population(SCENARIO, seed)
    assert [one.customer(number) for number in numbers] == [other.customer(number) for number in reversed(numbers)][
        ::-1
    ]


def test_another_seed_gives_other_people():
    one, other = ([Population(SCENARIO, seed).customer(n).segments for n in range(50)] for seed in (1, 2))
    assert one != other


@pytest.mark.parametrize("attribute", ["language", "region", "tenure", "accent"])
def test_attributes_come_in_the_shares_of_the_scenario(attribute):
    population = Population(SCENARIO, 5)
    people = [population.customer(number) for number in range(COUNT)]
    shares = SCENARIO.languages if attribute == "language" else SCENARIO.segments[attribute]
    found = Counter(one.language if attribute == "language" else one.segments[attribute] for one in people)
    expected = [COUNT * share for share in shares.values()]
    assert chisquare([found[value] for value in shares], expected).pvalue > 0.001


def test_each_customer_stays_with_one_arm_and_arms_get_their_shares():
    bot = msgspec.structs.replace(SCENARIO.bot, arms=(BotArm(version="1", share=0.9), BotArm(version="2", share=0.1)))
    population = Population(msgspec.structs.replace(SCENARIO, bot=bot), 3)
    arms = [population.customer(number).arm for number in range(10_000)]
    assert 900 < sum(arms) < 1_100
    assert arms[:100] == [population.customer(number).arm for number in range(100)]


def test_without_arms_everybody_has_the_first():
    bot = msgspec.structs.replace(SCENARIO.bot, arms=())
    assert Population(msgspec.structs.replace(SCENARIO, bot=bot), 3).customer(4).arm == 0


@given(
    st.integers(min_value=0, max_value=1_000),
    st.fixed_dictionaries(
        {},
        optional={
            "language": st.sampled_from(list(SCENARIO.languages)),
            "region": st.sampled_from(list(SCENARIO.segments["region"])),
            "accent": st.sampled_from(list(SCENARIO.segments["accent"])),
            "channel": st.just("voice"),
        },
    ),
)
def test_who_is_drawn_has_the_attributes_asked_for(seed, where):
    customer = Population(SCENARIO, 7).draw(Random(seed), where)
    told = {"language": customer.language, **customer.segments}
    assert all(told[name] == value for name, value in where.items() if name != "channel")


def test_nobody_is_drawn_where_nobody_has_what_is_asked_for():
    with pytest.raises(InvalidInput, match=r"'region': 'atlantis'.*10,000"):
        Population(SCENARIO, 7).draw(Random(1), {"region": "atlantis", "channel": "voice"})
