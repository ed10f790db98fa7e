"""Who works when: at every moment an agent is at work just when a shift says so."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from headset.twin.floor import Floor
from headset.twin.scenario import Team
from headset.twin.staff import Member, hire, work_shifts

MONDAY = datetime(2026, 3, 2)  # noqa: DTZ001 - the centre's own clock
HOUR_S = 3_600.0
DAY_S = 86_400.0

WHOLE_MINUTES = st.integers(0, 24 * 60 - 1).map(lambda minutes: time(minutes // 60, minutes % 60))
STARTS = st.integers(0, 14 * 24 * 60).map(lambda minutes: MONDAY + timedelta(minutes=minutes))


def team(**changes):
    return Team(**{"name": "care", "agents": 1, "queues": ("care",), "languages": ("en",)} | changes)


class Clocks(Floor):
    """Writes down who comes and goes."""

    def __init__(self, env):
        super().__init__(env)
        self.seen = []
        self._now = lambda: env.now

    def begin_shift(self, agent):
        assert not agent.on_shift
        self.seen.append(self._now())
        super().begin_shift(agent)

    def end_shift(self, agent):
        assert agent.on_shift
        self.seen.append(self._now())
        super().end_shift(agent)


def clocked(begin, end, weekdays=range(7), start=MONDAY, days=7):
    """When one agent comes and goes, in hours from the start."""
    env = simpy.Environment()
    floor = Clocks(env)
    member = Member(team(shift=(time(*begin), time(*end)), weekdays=tuple(weekdays)), 0)
    env.process(work_shifts(member, floor, env, start, days * DAY_S))
    env.run(until=days * DAY_S)
    hours = [moment / HOUR_S for moment in floor.seen]
    return list(zip(hours[::2], hours[1::2], strict=False)), member.on_shift


def test_a_day_shift_is_worked_on_its_weekdays():
    shifts, _ = clocked((9,), (17, 30), weekdays=[0, 2, 6])
    assert shifts == [(9, 17.5), (57, 65.5), (153, 161.5)]


def test_a_night_shift_goes_on_after_midnight_and_belongs_to_the_day_it_began():
    shifts, _ = clocked((22,), (6,), weekdays=[4])  # Friday
    assert shifts == [(4 * 24 + 22, 5 * 24 + 6)]


def test_a_start_in_the_middle_of_a_shift_finds_the_agent_at_work():
    noon, night = MONDAY.replace(hour=12), MONDAY.replace(hour=2)
    assert clocked((9,), (17,), start=noon, days=1)[0] == [(0, 5), (21, 29)][:1]
    assert clocked((22,), (6,), start=night, days=0.5)[0] == [(0, 4)]
    assert clocked((22,), (6,), weekdays=[0], start=night, days=0.5)[0] == []  # Sunday's night is not worked


def test_a_shift_that_ends_when_it_begins_is_a_whole_day():
    assert clocked((0,), (0,), days=3) == ([], True)
    assert clocked((8,), (8,), weekdays=[1], days=7)[0] == [(32, 56)]


@given(STARTS, WHOLE_MINUTES, WHOLE_MINUTES, st.sets(st.integers(0, 6), min_size=1), st.data())
def test_at_every_moment_somebody_works_just_when_a_shift_says_so(start, begin, end, weekdays, data):
    env = simpy.Environment()
    floor, member = Clocks(env), Member(team(shift=(begin, end), weekdays=tuple(weekdays)), 0)
    env.process(work_shifts(member, floor, env, start, 8 * DAY_S))
    for minute in sorted(data.draw(st.sets(st.integers(0, 8 * 24 * 60 - 1), max_size=20))):
        env.run(until=minute * 60.0 + 30.0)  # shifts begin and end on whole minutes
        now = start + timedelta(seconds=env.now)
        midnight = datetime.combine(now, time())
        due = False
        for day in (midnight - timedelta(days=1), midnight):
            first, last = datetime.combine(day, begin), datetime.combine(day, end)
            last += timedelta(days=last <= first)
            due |= day.weekday() in weekdays and first <= now < last
        assert member.on_shift is due


def test_no_shift_begins_after_the_end():
    env = simpy.Environment()
    floor, member = Clocks(env), Member(team(shift=(time(9), time(17))), 0)
    env.process(work_shifts(member, floor, env, MONDAY, 1.5 * DAY_S))
    env.run()
    assert [moment / HOUR_S for moment in floor.seen] == [9, 17, 33, 41]


def test_everybody_is_hired_with_the_skills_of_their_team(small):
    scenario = small()
    staff = hire(scenario)
    assert [member.agent_id for member in staff] == ["care-1", "care-2", "technical-1", "technical-2"]
    assert set(staff[0].skills) == {("care", "en"), ("care", "es")}
    assert not any(member.on_shift or member.busy for member in staff)


@pytest.mark.parametrize(("share", "biased"), [(0.0, 0), (0.25, 2), (0.5, 4), (1.0, 8)])
def test_as_many_are_biased_as_the_team_says(share, biased):
    group = team(agents=8, automation_bias=share)
    assert [Member(group, number).biased for number in range(8)] == [True] * biased + [False] * (8 - biased)
