"""The floor: agents with skills, and the customers who wait for them.

A customer takes the idle agent who has the skill and fewest others, among equals the one idle for longest. An agent
who becomes free takes, of all who wait for one of their skills, the most urgent, among equals the one who has waited
for longest. Who waits longer than their patience gives up.

Time is simulated (``simpy``), in seconds.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Final

from simpy import Event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpy import Environment

Skill = tuple[str, str]
"""A queue and a language."""


class Agent:
    """Somebody who answers customers; one at a time.

    Args:
        agent_id: Their name in the log.
        skills: What they may answer.
        on_shift: Whether they are at work; :meth:`Floor.begin_shift` and :meth:`Floor.end_shift` change it.
    """

    __slots__ = ("agent_id", "busy", "on_shift", "since", "skills")

    def __init__(self, agent_id: str, skills: Iterable[Skill]) -> None:
        self.agent_id: Final = agent_id
        self.skills: Final = tuple(dict.fromkeys(skills))
        self.on_shift = False
        self.busy = False
        self.since = 0.0


class Waiting(Event):
    """Succeeds with the agent who takes the customer, or with None when they gave up."""

    def give_up(self, _: Event) -> None:
        """Unless an agent was quicker."""
        if not self.triggered:
            self.succeed()


class Floor:
    """Brings customers and agents together.

    Attributes:
        busy_s: Time agents spent with customers and on the work after, up to the last :meth:`settle`.
        staffed_s: Time agents were at work or still busy after their shift.

    >>> import simpy
    >>> env = simpy.Environment()
    >>> floor, waits = Floor(env), []
    >>> floor.begin_shift(Agent("ana", [("billing", "en")]))
    >>> def customer(patience_s):
    ...     agent = yield floor.request(("billing", "en"), patience_s)
    ...     waits.append((env.now, agent and agent.agent_id))
    ...     if agent is not None:
    ...         yield env.timeout(60)
    ...         floor.release(agent)
    >>> for patience_s in (30, 90, 20):
    ...     _ = env.process(customer(patience_s))
    >>> env.run()
    >>> waits
    [(0, 'ana'), (20, None), (60, 'ana')]
    """

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._idle: dict[Agent, None] = {}
        self._lines: dict[Skill, list[tuple[int, int, Waiting]]] = {}
        self._arrival = count()
        self._staff: dict[Agent, None] = {}
        self.busy_s = 0.0
        self.staffed_s = 0.0

    def request(self, skill: Skill, patience_s: float | None = None, *, urgency: int = 0) -> Waiting:
        """Ask for an agent.

        Args:
            skill: What the agent must know.
            patience_s: Seconds after which the customer gives up; None when they never do.
            urgency: Lower numbers are served first.

        Returns:
            An event; its value is the agent, to be given back with :meth:`release`, or None.
        """
        waiting = Waiting(self._env)
        fitting = [agent for agent in self._idle if skill in agent.skills]
        if fitting:
            agent = min(fitting, key=lambda one: len(one.skills))
            del self._idle[agent]
            self._occupy(agent, waiting)
            return waiting
        heappush(self._lines.setdefault(skill, []), (urgency, next(self._arrival), waiting))
        if patience_s is not None:
            self._env.timeout(patience_s).callbacks.append(waiting.give_up)
        return waiting

    def release(self, agent: Agent) -> None:
        """The agent has finished; they take the next customer, or go home if their shift is over."""
        self._account(agent)
        agent.busy = False
        if not agent.on_shift:
            del self._staff[agent]
            return
        if (waiting := self._next(agent)) is not None:
            self._occupy(agent, waiting)
        else:
            self._idle[agent] = None

    def begin_shift(self, agent: Agent) -> None:
        """The agent comes to work, or stays when they are still busy."""
        if agent.on_shift:
            return
        agent.on_shift = True
        if not agent.busy:
            agent.since = self._env.now
            self._staff[agent] = None
            if (waiting := self._next(agent)) is not None:
                self._occupy(agent, waiting)
            else:
                self._idle[agent] = None

    def end_shift(self, agent: Agent) -> None:
        """The agent takes no more customers; one they have is finished first."""
        agent.on_shift = False
        if agent in self._idle:
            del self._idle[agent]
            self._account(agent)
            del self._staff[agent]

    def settle(self) -> None:
        """Bring ``busy_s`` and ``staffed_s`` up to now."""
        for agent in self._staff:
            self._account(agent)

    def _occupy(self, agent: Agent, waiting: Waiting) -> None:
        self._account(agent)
        agent.busy = True
        waiting.succeed(agent)

    def _account(self, agent: Agent) -> None:
        passed = self._env.now - agent.since
        agent.since = self._env.now
        self.staffed_s += passed
        if agent.busy:
            self.busy_s += passed

    def _next(self, agent: Agent) -> Waiting | None:
        """The customer this agent should take, removed from their line."""
        chosen: list[tuple[int, int, Waiting]] | None = None
        for skill in agent.skills:
            line = self._lines.get(skill)
            while line and line[0][2].triggered:
                heappop(line)
            if line and (chosen is None or line[0][:2] < chosen[0][:2]):
                chosen = line
        return None if chosen is None else heappop(chosen)[2]
