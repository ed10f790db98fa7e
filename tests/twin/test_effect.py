"""The true effects of a bot's versions: of equal ones none, of better ones some, each from chances of its own."""

from __future__ import annotations

import msgspec
import pytest

from headset.twin import effect
from headset.twin.bot import Bot
from headset.twin.centre import Centre
from headset.twin.effect import true_effects
from headset.twin.tally import KPIS
from headset.twin.world import make_world

ARMS = [{"version": "1", "share": 0.9, "accuracy": 0.6}, {"version": "2", "share": 0.1, "accuracy": 0.95}]


def test_two_equal_arms_have_no_effect(small):
    arms = [{"version": version, "share": 0.5} for version in ("1", "2")]
    world = make_world(small(bot={"arms": arms}, contacts_per_day=200))
    *_, (fraction, effects) = true_effects(world, seed=1, days=1.0)
    assert fraction == 1.0
    assert {effect.kpi for effect in effects} == set(KPIS)
    assert all(abs(effect.effect) <= 3 * effect.error for effect in effects)


def test_a_better_arm_contains_more_and_is_surer_of_it_with_more_days(small):
    arms = [{"version": "1", "share": 0.9, "accuracy": 0.6}, {"version": "2", "share": 0.1, "accuracy": 0.95}]
    world = make_world(small(bot={"arms": arms}, contacts_per_day=200))
    found = [{each.kpi: each for each in list(true_effects(world, seed=1, days=days))[-1][1]} for days in (1.0, 4.0)]
    for effects in found:
        assert effects["containment"].effect > 3 * effects["containment"].error > 0
        assert effects["csat"].effect > 0
    assert found[1]["containment"].error < found[0]["containment"].error


@pytest.fixture
def seeds(small, monkeypatch):
    """``seeds(7)``: those of the periods that the effects of a run with seed 7 are worked out from."""
    world = make_world(small(bot={"arms": ARMS}, contacts_per_day=1))

    def used(seed):
        found = []

        def centre(*parts, **named):
            found.append(named["seed"])
            return Centre(*parts, **named)

        monkeypatch.setattr(effect, "Centre", centre)
        assert list(true_effects(world, seed=seed, days=0.01))
        return found

    return used


def test_arms_meet_the_same_customers_and_pairs_meet_others(seeds):
    found = seeds(7)
    assert found[::2] == found[1::2]
    assert len(set(found)) == 10


def test_seeds_of_different_runs_do_not_overlap(seeds):
    found = [{*seeds(seed), seed} for seed in range(12)]
    assert len(set.union(*found)) == sum(map(len, found))
    assert seeds(3) == seeds(3)


@pytest.mark.parametrize("arms", [[], [{"version": "1"}]])
def test_without_another_version_there_is_nothing_to_compare(small, arms):
    assert not list(true_effects(make_world(small(bot={"arms": arms})), seed=1, days=1.0))


class Literal:
    needs_text = True


def test_of_a_bot_that_reads_texts_nothing_is_said(small):
    world = make_world(small(bot={"arms": ARMS}))
    one, other = world.bot.versions
    reads = msgspec.structs.replace(world, bot=Bot((one, msgspec.structs.replace(other, model=Literal()))))
    assert not list(true_effects(reads, seed=1, days=1.0))
