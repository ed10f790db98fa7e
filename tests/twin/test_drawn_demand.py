"""What is counted is what the simulation of the same seed draws."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headset.twin.catalogue import phrasebook_catalogue
from headset.twin.demand import HOUR_S, Demand
from headset.twin.drawn_demand import count_demand
from headset.twin.scenario import Incident, Occasion, read_scenario

CATALOGUE = phrasebook_catalogue()
QUIET = read_scenario("quiet_week")
START = datetime(2026, 3, 2)  # noqa: DTZ001 - the centre's own clock has no zone


def stormy(start):
    """A quiet week with a storm on the second and third day and a busier third one."""
    fair = Occasion(name="spring fair", kind="promotion", start=date(2026, 3, 4), factor=1.5)
    storm = Incident(
        name="the storm",
        start=START + timedelta(hours=30),
        hours=20,
        intent="storm_outage",
        contacts_per_hour=40,
        where={"region": "north"},
    )
    calendar = msgspec.structs.replace(QUIET.calendar, occasions=(fair,))
    return msgspec.structs.replace(QUIET, start=start, contacts_per_day=200.0, calendar=calendar, incidents=(storm,))


@given(
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    days=st.floats(0.02, 3),
    seed=st.integers(0, 2**63 - 1),
)
@settings(max_examples=30, deadline=None)
def test_the_counts_are_the_arrivals_of_the_period_by_hour_and_intent(minute, hour, days, seed):
    scenario = stormy(START + timedelta(days=1, hours=hour, minutes=minute))
    counted = count_demand(scenario, CATALOGUE, seed=seed, days=days)
    demand = Demand(scenario, CATALOGUE, seed)
    wanted = np.zeros_like(counted.contacts)
    made = 0
    for number in range(int(days * 24) + 1):
        for arrival in demand.arrivals(number):
            if arrival.time_s < days * 24 * HOUR_S:
                moment = scenario.start + timedelta(seconds=arrival.time_s)
                wanted[(moment - counted.start) // timedelta(hours=1), counted.intents.index(arrival.intent)] += 1
                made += arrival.incident is not None
    assert (counted.contacts == wanted).all()
    assert counted.from_incidents.sum() == made
    assert counted.exposure.sum() == pytest.approx(days * 24)


def test_what_is_expected_is_what_is_drawn_on_average():
    scenario = stormy(START + timedelta(hours=8, minutes=20))
    runs = [count_demand(scenario, CATALOGUE, seed=seed, days=2.3) for seed in range(60)]
    mean = np.mean([run.contacts.sum(axis=1) for run in runs], axis=0)
    expected = runs[0].expected
    # The rate of an hour is kept for all of it, so that hours of the clock differ a little less than it.
    assert (np.abs(mean - expected) < 5 * np.sqrt(np.maximum(expected, 0.5) / 60)).all()
    assert mean.sum() == pytest.approx(expected.sum(), rel=0.02)


@given(
    hour=st.integers(0, 23), weekday=st.integers(0, 6), days=st.floats(0.1, 20), step=st.sampled_from([1, 4, 24, 168])
)
@settings(max_examples=50, deadline=None)
def test_steps_cover_the_period_and_begin_with_the_clock(hour, weekday, days, step):
    start = START + timedelta(days=weekday, hours=hour)
    scenario = msgspec.structs.replace(QUIET, start=start, contacts_per_day=1.0)
    counted = count_demand(scenario, CATALOGUE, seed=1, days=days)
    first, *begun, end = counted.bounds(step).tolist()
    assert (first, end) == (0, len(counted.expected))
    moments = [start + timedelta(hours=each) for each in begun]
    wanted = [start + timedelta(hours=each) for each in range(1, end)]
    assert moments == [each for each in wanted if (each - START) % timedelta(hours=step) == timedelta(0)]


def test_progress_ends_with_all():
    told = []
    count_demand(QUIET, CATALOGUE, seed=1, days=2.5, progress=lambda phase, fraction: told.append((phase, fraction)))
    assert [fraction for _, fraction in told] == [0.0, 0.4, 0.8, 1.0]
    assert {phase for phase, _ in told} == {"drawing quiet week"}
