from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from itertools import pairwise
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest, poisson

from headset.twin.catalogue import phrasebook_catalogue
from headset.twin.demand import Demand, first_intents, intensity, moments, progress
from headset.twin.scenario import Calendar, Change, Incident, Occasion, read_scenario

CATALOGUE = phrasebook_catalogue()
QUIET = read_scenario("quiet_week")
MONDAY = QUIET.start.replace(hour=0)
WEEK = msgspec.structs.replace(QUIET, start=MONDAY)
FLAT = msgspec.structs.replace(WEEK, calendar=Calendar(), contacts_per_day=240.0)


def incident(**keys):
    given = {"name": "storm", "start": MONDAY, "hours": 8.0, "intent": "storm_outage", "contacts_per_hour": 100.0}
    return Incident(**given | keys)


def with_(scenario=FLAT, **parts):
    return msgspec.structs.replace(scenario, **parts)


def test_counts_are_poisson():
    demand = Demand(FLAT, CATALOGUE, seed=3)
    counts = [len(demand.arrivals(hour)) for hour in range(5_000)]
    assert np.mean(counts) == pytest.approx(10, rel=0.02)
    assert np.var(counts) == pytest.approx(10, rel=0.07)
    bounds = [-1, 5, 7, 9, 11, 13, 15, np.inf]
    found = [sum(low < count <= high for count in counts) for low, high in pairwise(bounds)]
    expected = [5_000 * (poisson.cdf(high, 10) - poisson.cdf(low, 10)) for low, high in pairwise(bounds)]
    assert chisquare(found, expected).pvalue > 0.001


def test_moments_are_uniform_within_the_hour_and_in_order():
    demand = Demand(with_(contacts_per_day=240_000.0), CATALOGUE, seed=3)
    times = [arrival.time_s for arrival in demand.arrivals(5)]
    assert times == sorted(times)
    assert kstest([(time_s - 5 * 3_600) / 3_600 for time_s in times], "uniform").pvalue > 0.001


def test_intents_come_in_their_shares():
    demand = Demand(with_(contacts_per_day=480_000.0), CATALOGUE, seed=4)
    found = Counter(arrival.intent for arrival in demand.arrivals(0))
    total = sum(found.values())
    expected = [total * share for share in FLAT.intents.values()]
    assert chisquare([found[intent] for intent in FLAT.intents], expected).pvalue > 0.001


@given(st.lists(st.integers(0, 167), min_size=1, max_size=4))
def test_an_hour_does_not_depend_on_what_was_drawn_before(hours):
    demand = Demand(WEEK, CATALOGUE, seed=3)
    drawn = [demand.arrivals(hour) for hour in hours]
    assert drawn[-1] == Demand(WEEK, CATALOGUE, seed=3).arrivals(hours[-1])


def test_another_seed_gives_another_hour():
    assert Demand(WEEK, CATALOGUE, 1).arrivals(10) != Demand(WEEK, CATALOGUE, 2).arrivals(10)


@given(
    st.lists(st.floats(0, 1_000), min_size=24, max_size=24),
    st.lists(st.floats(0, 1_000), min_size=7, max_size=7),
    st.lists(st.floats(0, 1_000), min_size=12, max_size=12),
    st.integers(0, 8_759),
)
def test_the_rate_follows_the_profiles(hours, weekdays, months, hour):
    assume(min(sum(hours), sum(weekdays), sum(months)) > 1e-3)
    calendar = Calendar(hours=tuple(hours), weekdays=tuple(weekdays), months=tuple(months))
    moment = MONDAY + timedelta(hours=hour)
    expected = 10 * hours[moment.hour] / np.mean(hours) * weekdays[moment.weekday()] / np.mean(weekdays)
    expected *= months[moment.month - 1] / np.mean(months)
    assert Demand(with_(calendar=calendar), CATALOGUE, 1).hour(hour).contacts == pytest.approx(expected)


def test_a_week_has_seven_times_the_contacts_of_an_average_day():
    expected = sum(Demand(WEEK, CATALOGUE, 1).hour(hour).contacts for hour in range(168))
    assert expected == pytest.approx(7 * WEEK.contacts_per_day)


@given(st.floats(0.05, 300), st.integers(0, 86_400))
def test_an_incident_adds_half_its_peak_times_its_length(hours, late_s):
    storm = incident(hours=hours, start=MONDAY + timedelta(seconds=late_s))
    demand = Demand(with_(incidents=(storm,)), CATALOGUE, 1)
    added = sum(extra for hour in range(int(hours) + 27) for _, extra in demand.hour(hour).incidents)
    assert added == pytest.approx(100 * hours / 2)


@given(st.floats(0.05, 100), st.integers(0, 86_400), st.integers(-5, 130))
def test_an_incident_is_never_stronger_than_its_peak(hours, late_s, hour):
    storm = incident(hours=hours, start=MONDAY + timedelta(seconds=late_s))
    assert -1e-12 <= intensity(storm, MONDAY + timedelta(hours=hour)) <= 1 + 1e-12


@given(st.floats(0.05, 100), st.integers(0, 86_400), st.integers(0, 2**32))
def test_the_contacts_of_an_incident_come_while_it_lasts(hours, late_s, seed):
    storm = incident(hours=hours, start=MONDAY + timedelta(seconds=late_s))
    for hour in range(24 + int(hours) + 2):
        start = MONDAY + timedelta(hours=hour)
        if intensity(storm, start) > 0:
            for moment in moments(storm, start, Random(seed), 3):
                passed = (start - storm.start) / timedelta(hours=1) + moment
                assert 0 <= moment <= 1
                assert -1e-6 <= passed <= hours + 1e-6


def test_an_incident_rises_fast_and_falls_slowly():
    storm = incident(hours=10.0, contacts_per_hour=4_000.0, where={"region": "west"})
    demand = Demand(with_(incidents=(storm,)), CATALOGUE, 1)
    drawn = [arrival for hour in range(10) for arrival in demand.arrivals(hour) if arrival.incident == "storm"]
    assert {arrival.intent for arrival in drawn} == {"storm_outage"}
    assert all(arrival.where == {"region": "west"} for arrival in drawn)

    def triangle(passed):
        return np.where(passed < 0.1, passed**2 / 0.1, 1 - (1 - passed) ** 2 / 0.9)

    assert kstest([arrival.time_s / 36_000 for arrival in drawn], triangle).pvalue > 0.001


def test_a_slow_change_goes_evenly_from_nothing_to_all_and_stays():
    change = Change(name="mix", start=MONDAY, end=MONDAY + timedelta(days=10), intents={"roaming": 3.0})
    days = [-1, 0, 2.5, 5, 10, 300]
    assert [progress(change, MONDAY + timedelta(days=day)) for day in days] == [0, 0, 0.25, 0.5, 1, 1]
    demand = Demand(with_(changes=(change,)), CATALOGUE, 1)
    share = FLAT.intents["roaming"]
    assert demand.hour(0).weights["roaming"] == pytest.approx(share)
    assert demand.hour(120).weights["roaming"] == pytest.approx(2 * share)
    assert demand.hour(999).weights["roaming"] == pytest.approx(3 * share)


@given(st.integers(0, 400), st.dictionaries(st.sampled_from(list(FLAT.intents)), st.floats(0, 1_000), max_size=27))
def test_a_slow_change_shifts_the_mix_but_not_the_volume(hour, factors):
    change = Change(name="mix", start=MONDAY, end=MONDAY + timedelta(days=10), intents=factors)
    assert Demand(with_(changes=(change,)), CATALOGUE, 1).hour(hour).contacts == pytest.approx(10)


def test_an_occasion_adds_to_the_usual_volume_on_its_days_alone():
    sale = Occasion(
        name="sale",
        kind="promotion",
        start=date(2026, 3, 4),
        end=date(2026, 3, 5),
        factor=1.5,
        intents={"promo_eligibility": 3.0},
    )
    demand = Demand(with_(calendar=Calendar(occasions=(sale,))), CATALOGUE, 1)
    extra = 1.5 * (1 + 2 * FLAT.intents["promo_eligibility"])
    volumes = [demand.hour(hour).contacts / 10 for hour in (47, 48, 95, 96)]
    assert volumes == pytest.approx([1, extra, extra, 1])


def test_occasions_may_overlap_and_last_one_day_when_no_end_is_given():
    both = tuple(Occasion(name=name, kind="launch", start=date(2026, 3, 3), factor=2.0) for name in ("one", "other"))
    demand = Demand(with_(calendar=Calendar(occasions=both)), CATALOGUE, 1)
    assert [demand.hour(hour).contacts for hour in (23, 24, 47, 48)] == pytest.approx([10, 40, 40, 10])


def test_nobody_comes_when_the_calendar_is_closed():
    closed = Occasion(name="closed", kind="holiday", start=date(2026, 3, 2), factor=0.0)
    assert Demand(with_(calendar=Calendar(occasions=(closed,))), CATALOGUE, 1).arrivals(3) == []


def test_without_a_mix_all_usual_intents_are_as_likely_but_thanks():
    mix = first_intents(CATALOGUE)
    assert set(mix) == set(CATALOGUE.usual) - {"thanks_goodbye"}
    assert sum(mix.values()) == pytest.approx(1)
    assert len(set(mix.values())) == 1
    assert Demand(with_(intents={}), CATALOGUE, 1).hour(0).weights == mix
