"""Who is served by whom, and when: promises of the floor on arbitrary arrivals, shifts and patience."""

from __future__ import annotations

from itertools import accumulate, pairwise
from types import SimpleNamespace

import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from headset.twin.floor import Agent, Floor

BILLING, HOME = ("billing", "en"), ("home", "en")
SKILL_SETS = ([BILLING], [HOME], [BILLING, HOME])


class Hall:
    """A floor with customers who write down what happens to them."""

    def __init__(self, skill_sets):
        self.env = simpy.Environment()
        self.floor = Floor(self.env)
        self.agents = [Agent(f"a{number}", skills) for number, skills in enumerate(skill_sets)]
        self.visits = []
        self.shifts = {agent: [] for agent in self.agents}

    def arrive(self, at, skill=BILLING, patience_s=None, hold_s=10, urgency=0):
        visit = SimpleNamespace(
            skill=skill, patience_s=patience_s, hold_s=hold_s, urgency=urgency, asked=at, began=None, agent=None
        )
        self.visits.append(visit)
        self.env.process(self._visit(visit))
        return visit

    def _visit(self, visit):
        yield self.env.timeout(visit.asked)
        visit.agent = yield self.floor.request(visit.skill, visit.patience_s, urgency=visit.urgency)
        visit.began = self.env.now
        if visit.agent is not None:
            yield self.env.timeout(visit.hold_s)
            self.floor.release(visit.agent)

    def shift(self, number, begin, end):
        agent = self.agents[number]
        self.shifts[agent].append((begin, end))
        self.env.process(self._shift(agent, begin, end))

    def _shift(self, agent, begin, end):
        yield self.env.timeout(begin)
        self.floor.begin_shift(agent)
        yield self.env.timeout(end - begin)
        self.floor.end_shift(agent)

    def served(self, agent=None):
        found = [visit for visit in self.visits if visit.agent is not None and agent in {None, visit.agent}]
        return sorted(found, key=lambda visit: (visit.began, visit.hold_s))

    def run(self, check=lambda: None):
        while self.env.peek() < float("inf"):
            now = self.env.peek()
            while self.env.peek() == now:
                self.env.step()
            check()
        self.floor.settle()
        return self


def waiting(hall, skill):
    return [entry for entry in hall.floor._lines.get(skill, []) if not entry[2].triggered]


VISIT = st.tuples(
    st.integers(0, 60),
    st.sampled_from([BILLING, HOME]),
    st.none() | st.integers(0, 30),
    st.integers(0, 30),
    st.integers(0, 1),
)
TEAM = st.lists(
    st.tuples(
        st.sampled_from(SKILL_SETS), st.lists(st.integers(1, 30), max_size=6).filter(lambda gaps: not len(gaps) % 2)
    ),
    min_size=1,
    max_size=4,
)


def furnish(team, visits):
    """A floor on which customers and agents come and go at whole seconds."""
    hall = Hall([skills for skills, _ in team])
    for visit in visits:
        hall.arrive(*visit)
    for number, (_, gaps) in enumerate(team):
        moments = list(accumulate(gaps))
        for begins, ends in zip(moments[::2], moments[1::2], strict=True):
            hall.shift(number, begins, ends)
    return hall


halls = st.builds(furnish, TEAM, st.lists(VISIT, max_size=20))


@given(halls)
def test_no_agent_serves_two_at_once(hall):
    hall.run()
    for agent in hall.agents:
        visits = hall.served(agent)
        assert all(one.began + one.hold_s <= next_.began for one, next_ in pairwise(visits))


@given(halls)
def test_nobody_waits_while_an_agent_with_the_skill_is_idle(hall):
    def check():
        for agent in hall.floor._idle:
            assert agent.on_shift
            assert not agent.busy
            assert not any(waiting(hall, skill) for skill in agent.skills)

    hall.run(check)


@given(halls)
def test_who_is_served_has_the_skill_of_their_agent_who_is_at_work(hall):
    hall.run()
    for visit in hall.served():
        assert visit.skill in visit.agent.skills
        assert any(begin <= visit.began <= end for begin, end in hall.shifts[visit.agent])


@given(halls)
def test_nobody_overtakes_within_a_line_except_the_more_urgent(hall):
    hall.run()
    for one in hall.visits:
        for other in hall.served():
            before = one.skill == other.skill and one.asked < other.asked and one.urgency <= other.urgency
            assert not before or (one.began is not None and one.began <= other.began)


@given(halls)
def test_who_gives_up_has_waited_exactly_their_patience_and_nobody_waits_longer(hall):
    hall.run()
    for visit in hall.visits:
        if visit.began is None:
            assert visit.patience_s is None
        elif visit.agent is None:
            assert visit.began - visit.asked == visit.patience_s
        else:
            assert visit.patience_s is None or visit.began - visit.asked <= visit.patience_s


@given(halls)
def test_busy_and_staffed_time_are_what_the_visits_and_shifts_say(hall):
    hall.run()
    busy = {agent: set() for agent in hall.agents}
    for visit in hall.served():
        busy[visit.agent] |= set(range(visit.began, visit.began + visit.hold_s))
    shifts = {agent: {tick for begin, end in hall.shifts[agent] for tick in range(begin, end)} for agent in hall.agents}
    assert hall.floor.busy_s == sum(map(len, busy.values()))
    assert hall.floor.staffed_s == sum(len(busy[agent] | shifts[agent]) for agent in hall.agents)


@given(halls)
def test_settling_in_between_changes_no_sum(hall):
    settled = hall.run(hall.floor.settle)
    busy_s = sum(visit.hold_s for visit in settled.served())
    assert settled.floor.busy_s == busy_s


def test_specialists_are_taken_before_agents_who_could_do_more():
    hall = Hall([[BILLING, HOME], [BILLING]])
    hall.shift(0, 0, 100)
    hall.shift(1, 1, 100)
    visits = [hall.arrive(5), hall.arrive(6)]
    hall.run()
    assert [visit.agent.agent_id for visit in visits] == ["a1", "a0"]


def test_of_equal_agents_the_one_idle_for_longest_is_taken():
    hall = Hall([[BILLING], [BILLING]])
    hall.shift(0, 0, 100)
    hall.shift(1, 0, 100)
    visits = [hall.arrive(5, hold_s=10), hall.arrive(6, hold_s=2), hall.arrive(20)]
    hall.run()
    assert [visit.agent.agent_id for visit in visits] == ["a0", "a1", "a1"]


def test_an_agent_takes_the_longest_wait_of_all_their_lines():
    hall = Hall([[HOME, BILLING]])
    visits = [hall.arrive(1, BILLING), hall.arrive(2, HOME), hall.arrive(3, BILLING)]
    hall.shift(0, 10, 100)
    hall.run()
    assert [visit.began for visit in visits] == [10, 20, 30]


def test_the_urgent_come_first_in_every_line():
    hall = Hall([[HOME, BILLING]])
    visits = [hall.arrive(1, BILLING, urgency=1), hall.arrive(2, HOME, urgency=0)]
    hall.shift(0, 10, 100)
    hall.run()
    assert [visit.began for visit in visits] == [20, 10]


def test_a_busy_agent_finishes_after_the_shift_and_takes_nobody_else():
    hall = Hall([[BILLING]])
    hall.shift(0, 0, 10)
    first, second = hall.arrive(5, hold_s=20), hall.arrive(6)
    hall.run()
    assert (first.began, second.began) == (5, None)
    assert (hall.floor.busy_s, hall.floor.staffed_s) == (20, 25)
    assert len(waiting(hall, BILLING)) == 1


def test_an_agent_whose_next_shift_begins_while_they_are_busy_stays():
    hall = Hall([[BILLING]])
    hall.shift(0, 0, 10)
    hall.shift(0, 20, 40)
    first, second = hall.arrive(5, hold_s=20), hall.arrive(6)
    hall.run()
    assert (first.began, second.began) == (5, 25)
    assert hall.floor.staffed_s == 40


@pytest.mark.parametrize("end", [0, 1])
def test_who_gives_up_the_moment_an_agent_comes_is_counted_once(end):
    hall = Hall([[BILLING]])
    visit = hall.arrive(0, patience_s=10)
    hall.shift(0, 10, 20 + end)
    hall.run()
    assert visit.began == 10
    assert not waiting(hall, BILLING)
    assert hall.floor.busy_s == (10 if visit.agent else 0)


def test_who_gave_up_takes_no_room_in_the_line_once_someone_behind_them_is_served():
    hall = Hall([[BILLING]])
    for at in range(50):
        hall.arrive(at, patience_s=1)
    hall.arrive(60)
    hall.shift(0, 70, 100)
    hall.run()
    assert hall.floor._lines[BILLING] == []
