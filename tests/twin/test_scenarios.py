from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from importlib import resources
from random import Random

import pytest

from headset.twin.catalogue import phrasebook_catalogue
from headset.twin.centre import Centre
from headset.twin.demand import Demand
from headset.twin.effect import true_effects
from headset.twin.phrasebook import load_phrasebook
from headset.twin.scenario import read_scenario, scenario_names
from headset.twin.silent import Silent
from headset.twin.tally import Tally
from headset.twin.utterance import PhrasebookUtterances
from headset.twin.world import make_world

CATALOGUE = phrasebook_catalogue()
YEAR = read_scenario("retail_year")


def simulate(name, *, seed=7, days=None):
    """All figures, and those of the contacts of each arm; also who came and how it went."""
    scenario = read_scenario(name)
    ended, arms = [], defaultdict(Tally)

    def settle(contact, course):
        ended.append((contact, course))
        arms[course.arm].count(contact, course)

    world = make_world(scenario)
    days = days or scenario.days
    tally = Centre(scenario, CATALOGUE, Silent(world.bot), seed=seed, days=days, on_end=settle).run()
    figures = {arm: each.figures(scenario.costs) for arm, each in arms.items()}
    return tally.figures(scenario.costs), figures, ended


@pytest.mark.parametrize("name", scenario_names())
def test_each_says_at_its_top_what_it_is_for_and_runs(name):
    text = resources.files("headset.twin").joinpath("scenarios", f"{name}.toml").read_text(encoding="utf-8")
    assert text.startswith("# ")
    figures, _, ended = simulate(name, days=1)
    assert len(ended) > 300
    assert None not in figures.values()


@pytest.mark.parametrize("seed", [1, 7, 8])
def test_the_quiet_week_is_that_of_a_well_run_centre(seed):
    figures, _, _ = simulate("quiet_week", seed=seed)
    assert 0.8 <= figures["service_level"] <= 0.9
    assert 0.6 <= figures["occupancy"] <= 0.8
    assert 0.02 <= figures["abandonment"] <= 0.07
    assert 0.45 <= figures["containment"] <= 0.65


def test_the_retail_year_has_its_peaks_where_its_head_says():
    demand = Demand(YEAR, CATALOGUE, 7)
    days = [sum(demand.hour(24 * day + hour).contacts for hour in range(24)) for day in range(365)]
    assert sum(days) / 365 == pytest.approx(YEAR.contacts_per_day, rel=0.05)
    busiest = YEAR.start + timedelta(days=max(range(365), key=days.__getitem__))
    assert (busiest.month, busiest.day) in {(11, 27), (11, 30)}
    months = Counter()
    for day, volume in enumerate(days):
        months[(YEAR.start + timedelta(days=day)).month] += volume
    assert max(months, key=months.__getitem__) == 12
    new_year, next_thursday = days[0], days[7]
    assert new_year == pytest.approx(next_thursday / 2)


def test_the_incidents_of_the_retail_year_bring_some_hundred_contacts_each():
    demand = Demand(YEAR, CATALOGUE, 7)
    found = Counter()
    for hour in range(24 * 365):
        for incident, extra in demand.hour(hour).incidents:
            found[incident.name] += extra
    assert found == pytest.approx({"app login loop": 375, "storm": 480, "scam wave": 672})


def test_the_price_rise_grows_slowly_to_some_percent():
    demand = Demand(YEAR, CATALOGUE, 7)
    shares = []
    for day in (0, 80, 110, 150, 364):
        weights = demand.hour(24 * day).weights
        shares.append(weights["price_rise"] / sum(weights.values()))
    assert shares[0] == pytest.approx(0.001)
    assert shares[0] < shares[1] < shares[2] < shares[3]
    assert 0.03 < shares[3] < 0.05


@pytest.mark.parametrize("language", ["en", "es", "de"])
def test_the_words_that_change_are_words_that_customers_of_each_language_use(language):
    utterances, random = PhrasebookUtterances(), Random(3)
    changed = Counter()
    for change in YEAR.changes:
        for intent in load_phrasebook(language).intents if change.words else ():
            for _ in range(30):
                seed = random.random()
                before = utterances.ask(intent, language, "chat", Random(seed))
                after = utterances.ask(intent, language, "chat", Random(seed), renamed=change.words)
                changed[change.name] += before != after
    assert changed["hub for router"] > 10
    assert changed["new plan names"] > 10
    assert (changed["german words"] > 10) == (language == "de")


def test_those_who_mislabel_work_in_one_team():
    biased = {team.name for team in read_scenario("bad_agent_feedback").teams if team.automation_bias > 0.5}
    assert biased == {"outsourced"}
    assert [t.label_error for t in read_scenario("bad_agent_feedback").teams if t.name == "outsourced"] == [0.25]


@pytest.mark.slow
def test_the_unfair_bot_is_right_less_often_in_spanish_and_with_a_strong_accent_on_the_telephone():
    _, _, ended = simulate("unfair_language")
    right = defaultdict(list)
    for contact, course in ended:
        accent = contact.has({"accent": "strong", "channel": "voice"})
        right[contact.customer.language, accent].append(course.said == contact.intent)
    rates = {key: sum(each) / len(each) for key, each in right.items()}
    assert rates["en", False] == pytest.approx(0.9, abs=0.02)
    assert rates["de", False] == pytest.approx(0.9, abs=0.03)
    assert rates["es", False] == pytest.approx(0.9 * 0.75, abs=0.04)
    assert rates["en", True] == pytest.approx(0.9 * 0.85, abs=0.05)


def test_the_broken_feed_has_all_kinds_of_faults():
    scenario = read_scenario("broken_feed")
    assert {fault.kind for fault in scenario.faults} == {"missing_field", "wrong_unit", "stuck_feed", "duplicates"}
    days = [(fault.start.day, fault.end.day) for fault in scenario.faults]
    assert days == [(5, 6), (9, 9), (11, 12), (13, 13)]


@pytest.mark.slow
def test_comparing_the_customers_of_two_arms_misses_what_the_better_one_does_to_a_shared_queue():
    scenario = read_scenario("shared_queue")
    world = make_world(scenario)
    *_, (_, effects) = true_effects(world, seed=7, days=5)
    true = {each.kpi: each for each in effects}
    found = [simulate("shared_queue", seed=seed, days=5)[1] for seed in (7, 8, 9)]
    for kpi, least in (("service_level", 0.12), ("abandonment", 0.05)):
        naive = sum(arms["new"][kpi] - arms["old"][kpi] for arms in found) / len(found)
        assert abs(naive) < 0.03
        assert abs(true[kpi].effect) > least
        assert abs(true[kpi].effect) > 10 * true[kpi].error
