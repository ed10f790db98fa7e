"""The staff: agents of teams, and the shifts they work."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from headset.twin.floor import Agent

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime

    from simpy import Environment, Event

    from headset.twin.floor import Floor
    from headset.twin.scenario import Scenario, Team

_DAY_S = 86_400.0
_WEEK = 7


class Member(Agent):
    """An agent of a team.

    Args:
        team: Which.
        number: Among its agents, from 0; the first are those with automation bias.
    """

    __slots__ = ("biased", "team")

    def __init__(self, team: Team, number: int) -> None:
        skills = [(queue, language) for queue in team.queues for language in team.languages]
        super().__init__(f"{team.name}-{number + 1}", skills)
        self.team: Final = team
        self.biased: Final = number < round(team.automation_bias * team.agents)


def hire(scenario: Scenario) -> list[Member]:
    """Everybody who works in a scenario."""
    return [Member(team, number) for team in scenario.teams for number in range(team.agents)]


def work_shifts(
    member: Member, floor: Floor, env: Environment, start: datetime, until_s: float
) -> Generator[Event, object, None]:
    """Shift after shift, as a process of ``env``; the one that began the day before ``start`` may not be over.

    Args:
        member: Who.
        floor: Where.
        env: Its time is seconds since ``start``.
        start: On the centre's clock.
        until_s: No shift begins after that.
    """
    begin, end = member.team.shift
    if begin == end and len(set(member.team.weekdays)) == _WEEK:
        floor.begin_shift(member)
        return
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    begins_s = -(start - midnight).total_seconds() + begin.hour * 3_600 + begin.minute * 60 - _DAY_S
    lasts_s: float = (end.hour - begin.hour) * 3_600 + (end.minute - begin.minute) * 60
    lasts_s += _DAY_S if lasts_s <= 0 else 0.0
    while begins_s <= until_s:
        day = (start + timedelta(seconds=begins_s)).weekday()
        if day in member.team.weekdays and begins_s + lasts_s > env.now:
            if begins_s > env.now:
                yield env.timeout(begins_s - env.now)
            floor.begin_shift(member)
            yield env.timeout(begins_s + lasts_s - env.now)
            floor.end_shift(member)
        begins_s += _DAY_S
