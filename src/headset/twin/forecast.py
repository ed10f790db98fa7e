"""What-if forecasts: the KPIs of a future period, with intervals, for a model or a staffing that is not there yet.

Each run simulates the period once, with customers of its own and, where a model is known from its test only, with
another of the models that may stand behind that test (:func:`headset.twin.behaviour.imagine`). If the scenario is
true and the model's errors are those of its test, the future period is one more such run: all are exchangeable, and
an interval between order statistics of the runs holds the future value as often as it says.
"""

from __future__ import annotations

import multiprocessing
import re
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from math import ceil, floor
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from headset.core.errors import InvalidInput, Overloaded
from headset.core.parent import end_with_parent
from headset.registry.confusion import Confusion
from headset.twin.behaviour import imagine
from headset.twin.bot import Bot, BotVersion, Guess, made_up_bot
from headset.twin.centre import Centre
from headset.twin.demand import first_intents
from headset.twin.scenario import BotArm, Scenario
from headset.twin.silent import Silent
from headset.twin.tally import KPIS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from headset.twin.catalogue import Catalogue

    Progress = Callable[[float], None]
    Figures = dict[str, float | None]

_FEWEST_RUNS = 20
_MOST_RUNS = 10_000
_MOST_AGENTS = 10_000
_MOST_DAYS = 3_660
_CHANGE = re.compile(r"\A([^=]+)=([+-]?)([0-9]{1,6})\Z")
_ROUNDING = 1e-9


class Plan(Struct, frozen=True, kw_only=True):
    """What is to be tried; everything else is as the scenario says.

    Attributes:
        confusion: The test of the model that serves everybody; None for the scenario's own arms.
        threshold: From which confidence it answers alone; None for the one it was tested with, or the scenario's.
        agents: Teams whose number of agents is another.
    """

    confusion: Confusion | None = None
    threshold: float | None = None
    agents: dict[str, int] = {}


class Study(Struct, frozen=True, kw_only=True):
    """How much is simulated.

    Attributes:
        days: Length of the period, from the scenario's start.
        runs: How often it is simulated.
        seed: Equal seeds give equal forecasts, however many processes work on them.
        level: How often the intervals hold.
    """

    days: float
    runs: int = 39
    seed: int = 7
    level: float = 0.9


class Estimate(Struct, frozen=True):
    """What is expected of one figure in one period.

    Attributes:
        mean: Over the runs; None where none has the figure.
        low: From here,
        high: to here goes the prediction interval; None where too few runs have the figure.
        defined: Share of the runs that have the figure: there is no transfer rate where nobody was answered. Mean
            and interval are of those runs.
    """

    mean: float | None
    low: float | None
    high: float | None
    defined: float


class Forecast(Struct, frozen=True):
    """The KPIs of one period under one plan.

    Attributes:
        scenario: Its name.
        study: How it was simulated.
        agents: Of each team.
        threshold: The confidence from which the bot answers alone; None without a bot.
        unlearned: Intents of the scenario that the model does not know; it gets them wrong.
        figures: By KPI, all of :data:`headset.twin.tally.KPIS`.
    """

    scenario: str
    study: Study
    agents: dict[str, int]
    threshold: float | None
    unlearned: tuple[str, ...]
    figures: dict[str, Estimate]


class WhatIf(Struct, frozen=True):
    """Two plans in the same periods, with the same customers.

    Attributes:
        base: The one plan.
        changed: The other.
        differences: By KPI, ``changed`` minus ``base``: what the change would make of one period.
    """

    base: Forecast
    changed: Forecast
    differences: dict[str, Estimate]


def forecast(
    scenario: Scenario,
    catalogue: Catalogue,
    plan: Plan,
    study: Study,
    *,
    processes: int = 1,
    progress: Progress = lambda _: None,
) -> Forecast:
    """Forecast the KPIs of a period.

    Args:
        scenario: Checked.
        catalogue: Its intents.
        plan: What is to be tried.
        study: How.
        processes: That simulate at once.
        progress: Told, after each run, the fraction of the work that is done.

    Raises:
        InvalidInput: the plan or the study is impossible.
        Overloaded: one of the processes was ended from outside.
    """
    worlds = (_realise(scenario, catalogue, plan),)
    (runs,) = zip(*_simulate(worlds, catalogue, study, processes, progress), strict=True)
    return _summarise(worlds[0], catalogue, study, runs)


def what_if(
    scenario: Scenario,
    catalogue: Catalogue,
    base: Plan,
    changed: Plan,
    study: Study,
    *,
    processes: int = 1,
    progress: Progress = lambda _: None,
) -> WhatIf:
    """Forecast a period under two plans, and what the one makes of it beside the other.

    Each run of one plan has its like under the other: the same customers come, and where both plans have the same
    model, the same draw of it serves. What chance does to both is not in the differences.

    The rest is as of :func:`forecast`.
    """
    worlds = _realise(scenario, catalogue, base), _realise(scenario, catalogue, changed)
    before, after = zip(*_simulate(worlds, catalogue, study, processes, progress), strict=True)
    pairs = list(zip(before, after, strict=True))
    differences = {kpi: _estimate([_minus(then[kpi], now[kpi]) for now, then in pairs], study.level) for kpi in KPIS}
    old, new = worlds
    return WhatIf(_summarise(old, catalogue, study, before), _summarise(new, catalogue, study, after), differences)


def read_agents(changes: Iterable[str], scenario: Scenario) -> dict[str, int]:
    """The new numbers of agents from ``team=number``, ``team=+more`` or ``team=-fewer``.

    Raises:
        InvalidInput: that is not what one of them says, or there is no such team.

    >>> from headset.twin.scenario import read_scenario
    >>> read_agents(["care=10", "night=1"], read_scenario("quiet_week"))
    {'care': 10, 'night': 1}
    """
    agents: dict[str, int] = {}
    for change in changes:
        if (parts := _CHANGE.match(change)) is None:
            raise InvalidInput("agents", f"is {change[:80]!r}; write team=+2, team=-2 or team=10")
        team, sign, number = parts.groups()
        before = agents[team] if team in agents else _team_sizes(scenario).get(team)
        if before is None:
            raise _no_team(team, scenario)
        agents[team] = before + int(sign + number) if sign else int(number)
    return agents


def prediction_interval(values: Sequence[float], level: float) -> tuple[float, float] | None:
    """Between these bounds one more value lies, drawn as ``values`` were, with a probability of ``level`` or more.

    Of n + 1 exchangeable values the last is below the k-th smallest of the others in at most k of n + 1 cases; so k
    is the largest number for which both tails together stay within 1 - level (Wilks 1941; Vovk et al. 2005).

    Returns:
        The k-th smallest and the k-th largest; None where there are too few values for that.

    >>> prediction_interval(range(1, 40), 0.9)
    (2, 38)
    """
    tail = floor((len(values) + 1) * (1 - level) / 2 + _ROUNDING)
    if tail < 1:
        return None
    ordered = sorted(values)
    return ordered[tail - 1], ordered[-tail]


# -- runs --------------------------------------------------------------------------------------


class _Trial(Struct, frozen=True):
    """A plan made real: a scenario with its changes, and what its model is known by."""

    scenario: Scenario
    confusion: Confusion | None


def _realise(scenario: Scenario, catalogue: Catalogue, plan: Plan) -> _Trial:
    sizes = _team_sizes(scenario)
    for team, agents in plan.agents.items():
        if team not in sizes:
            raise _no_team(team, scenario)
        if not 1 <= agents <= _MOST_AGENTS:
            raise InvalidInput(
                f"agents.{team}", f"is {agents}, from {sizes[team]}; a team has 1 to {_MOST_AGENTS} agents"
            )
    teams = tuple(replace(team, agents=plan.agents.get(team.name, team.agents)) for team in scenario.teams)
    threshold = scenario.bot.threshold if plan.confusion is None else plan.confusion.threshold
    if plan.threshold is not None:
        threshold = plan.threshold
        if not 0 <= threshold <= 1:
            raise InvalidInput("threshold", f"is {threshold}; a confidence goes from 0 to 1")
        if not scenario.bot.arms and plan.confusion is None:
            raise InvalidInput("threshold", f"is {threshold}, but nobody is sure of anything: the scenario has no bot")
    arms = scenario.bot.arms
    if plan.confusion is not None:
        arms = (BotArm(),)
        wanted, known = _wanted(scenario, catalogue), plan.confusion.intents
        if not wanted & set(known):
            problem = (
                f"knows none of the scenario's intents, but {', '.join(known[:10])}; name a model trained for them"
            )
            raise InvalidInput("confusion", problem)
    bot = replace(scenario.bot, arms=arms, threshold=threshold)
    return _Trial(replace(scenario, teams=teams, bot=bot), plan.confusion)


def _simulate(
    worlds: tuple[_Trial, ...], catalogue: Catalogue, study: Study, processes: int, progress: Progress
) -> Iterator[tuple[Figures, ...]]:
    """The KPIs of every run, in order, for each world."""
    _check(study, processes)
    run = partial(_run, worlds, catalogue, study)
    with _mapping(min(processes, study.runs)) as mapped:
        try:
            for done, figures in enumerate(mapped(run, range(study.runs)), 1):
                progress(done / study.runs)
                yield figures
        except BrokenProcessPool:
            problem = "a process that simulated was ended from outside, perhaps for want of memory; use fewer processes"
            raise Overloaded(problem) from None


@contextmanager
def _mapping(processes: int) -> Iterator[Callable[..., Iterable[tuple[Figures, ...]]]]:
    """``map`` in this process or in several."""
    if processes == 1:
        yield map
        return
    spawn = multiprocessing.get_context("spawn")  # a fork would take over threads and open files
    with ProcessPoolExecutor(processes, mp_context=spawn, initializer=_follow_starter) as pool:
        try:
            yield pool.map
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _follow_starter() -> None:
    """In a process that simulates: leave Ctrl-C to the one that started it, and end when that one is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def _run(worlds: tuple[_Trial, ...], catalogue: Catalogue, study: Study, number: int) -> tuple[Figures, ...]:
    root = np.random.SeedSequence(study.seed, spawn_key=(number,))
    seed, model_seed = (int(state) for state in root.generate_state(2, np.uint64))
    found = []
    for world in worlds:
        bot = _bot(world, catalogue, model_seed)
        centre = Centre(world.scenario, catalogue, Silent(bot), seed=seed, days=study.days)
        found.append(centre.run().figures(world.scenario.costs))
    return tuple(found)


def _bot(world: _Trial, catalogue: Catalogue, model_seed: int) -> Bot | None:
    table = world.scenario.bot
    if world.confusion is None:
        return made_up_bot(table, catalogue) if table.arms else None
    model = imagine(world.confusion, np.random.Generator(np.random.PCG64(model_seed)))
    return Bot((BotVersion(table.arms[0].version, Guess(model), table.threshold),))


def _summarise(world: _Trial, catalogue: Catalogue, study: Study, runs: Sequence[Figures]) -> Forecast:
    known = None if world.confusion is None else world.confusion.intents
    return Forecast(
        scenario=world.scenario.name,
        study=study,
        agents=_team_sizes(world.scenario),
        threshold=world.scenario.bot.threshold if world.scenario.bot.arms else None,
        unlearned=() if known is None else tuple(sorted(_wanted(world.scenario, catalogue) - set(known))),
        figures={kpi: _estimate([run[kpi] for run in runs], study.level) for kpi in KPIS},
    )


def _estimate(values: Sequence[float | None], level: float) -> Estimate:
    known = [value for value in values if value is not None]
    low, high = prediction_interval(known, level) or (None, None)
    return Estimate(fmean(known) if known else None, low, high, len(known) / len(values))


def _minus(new: float | None, old: float | None) -> float | None:
    return None if new is None or old is None else new - old


def _wanted(scenario: Scenario, catalogue: Catalogue) -> set[str]:
    """The intents that contacts begin with."""
    mix = scenario.intents or first_intents(catalogue)
    return {intent for intent, share in mix.items() if share > 0} | {each.intent for each in scenario.incidents}


def _team_sizes(scenario: Scenario) -> dict[str, int]:
    return {team.name: team.agents for team in scenario.teams}


def _no_team(team: str, scenario: Scenario) -> InvalidInput:
    return InvalidInput(f"agents.{team[:80]}", f"names no team; there are {', '.join(_team_sizes(scenario))}")


def _check(study: Study, processes: int) -> None:
    if not 0 < study.level < 1:
        raise InvalidInput("level", f"is {study.level}; it lies between 0 and 1, for example 0.9")
    needed = max(_FEWEST_RUNS, ceil(2 / (1 - study.level) - 1 - _ROUNDING))
    if not needed <= study.runs <= _MOST_RUNS:
        problem = f"is {study.runs}; intervals that hold in {study.level:.6g} of all periods need"
        raise InvalidInput("runs", f"{problem} {needed} to {_MOST_RUNS} runs")
    if not 0 < study.days <= _MOST_DAYS:
        raise InvalidInput("days", f"is {study.days}; a period has up to {_MOST_DAYS} days, and more than 0")
    if not 0 <= study.seed < 2**63:
        raise InvalidInput("seed", f"is {study.seed}; it goes from 0 to {2**63 - 1}")
    if processes < 1:
        raise InvalidInput("processes", f"is {processes}; at least 1 must work")
