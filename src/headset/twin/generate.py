"""A simulated period written into a log at full speed, and the truth about it into a file."""

from __future__ import annotations

import math
from contextlib import nullcontext
from random import Random
from statistics import fmean, stdev
from typing import TYPE_CHECKING, cast

import msgspec
import simpy
from msgspec import Struct

from headset.core.clock import MICROSECONDS, ManualClock
from headset.core.errors import StorageFailed
from headset.core.ids import Ids
from headset.twin.beside import told_beside
from headset.twin.bot import Bot
from headset.twin.centre import DAY_S, Centre
from headset.twin.faulty import Faults
from headset.twin.recorded import Recorded
from headset.twin.script import Script
from headset.twin.silent import Silent
from headset.twin.simulated_clock import SimulatedClock
from headset.twin.tally import KPIS, Tally
from headset.twin.truth import Beginning, TrueEffect, TrueKpis, TruthFile, episodes, true_contact
from headset.twin.unsealed import Sealer, Unsealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from headset.events.door import Door
    from headset.events.log import Log
    from headset.twin.stage import Contact
    from headset.twin.tally import Course
    from headset.twin.world import World

_BATCH = 1_000
_TWO = 2
_PAIRS = 10
_EFFECT_DAYS = 28


class Generated(Struct, frozen=True):
    """What was written.

    Attributes:
        contacts: Conversations.
        events: Events in the log.
        lost: Conversations that could not be kept to their end.
        figures: The true KPIs.
    """

    contacts: int
    events: int
    lost: int
    figures: dict[str, float | None]


class Happened(Struct, frozen=True, tag=True, array_like=True):
    """Events since the last message, and the fraction of the period that is over."""

    fraction: float
    told: list[Unsealed]


class Compared(Struct, frozen=True, tag=True, array_like=True):
    """The fraction of the true effects that is known."""

    fraction: float


class Ended(Struct, frozen=True, tag=True, array_like=True):
    """All has been told."""

    contacts: int
    lost: int
    figures: dict[str, float | None]


Message = Happened | Compared | Ended


def generate(  # noqa: PLR0913 - each is a part of its own
    world: World,
    *,
    log: Log,
    door: Door,
    clock: ManualClock,
    score: Callable[[str], float],
    seed: int,
    days: float,
    truth: Path | None = None,
    model: str = "intent",
    name: str = "twin",
    progress: Callable[[str, float], None] = lambda _phase, _fraction: None,
) -> Generated:
    """Write ``days`` of a scenario; equal seeds write the same.

    A process of its own simulates and finds the words, this one seals and keeps them. A run that is stopped leaves a
    log that holds everything up to then.

    Args:
        world: What happens, and who answers.
        log: Where the events go.
        door: Lets the texts in.
        clock: The log's own; it is moved along with the simulation.
        score: Sentiment of a text, -1 to 1.
        seed: Of everything.
        days: How many; may be a fraction.
        truth: Where the truth goes; no such file may be there.
        model: Name of the model that decisions are recorded under.
        name: Begins the ids of conversations; another name adds to a log that has some.
        progress: Told the phase and the fraction done.

    Raises:
        StorageFailed: the log or the truth could not be written.
    """
    phase = f"simulating {world.scenario.name}"
    events = 0
    arguments = (world, seed, days, truth, model, name)
    sealer = Sealer(door, score)
    reads = world.bot is not None and world.bot.needs_text  # such models stay in the process that loaded them
    with nullcontext(tell(*arguments)) if reads else told_beside(tell, arguments, Message) as messages:
        for message in messages:
            match message:
                case Happened(fraction, told):
                    sealed = [sealer.seal(each) for each in told]
                    if sealed:
                        clock.advance((sealed[-1].event_time - clock.now()) / MICROSECONDS)
                        log.append(sealed)
                        events += len(sealed)
                    progress(phase, fraction)
                case Compared(fraction):
                    progress("true effects", fraction)
                case Ended():
                    return Generated(message.contacts, events, message.lost, message.figures)
    raise StorageFailed("the simulation ended early; its message is above")


def tell(
    world: World,
    seed: int,
    days: float,
    truth: Path | None,
    model: str,
    name: str,
) -> Iterator[Message]:
    """The same as a stream of messages, in order of time."""
    scenario = world.scenario
    arms: dict[str | None, Tally] = {}
    with TruthFile(truth) as lines:

        def settle(contact: Contact, course: Course) -> None:
            if len(scenario.bot.arms) > 1:
                arms.setdefault(course.arm, Tally()).count(contact, course)
            lines.write(true_contact(contact, course, scenario.start))

        env = simpy.Environment()
        clock = SimulatedClock(env, scenario.start)
        stage = Recorded(
            env=env,
            clock=clock,
            ids=Ids(clock, Random(f"{seed}:{name}:ids")),  # noqa: S311 - equal seeds give equal ids
            script=Script(scenario, world.utterances),
            faults=Faults(scenario),
            bot=world.bot,
            model=model,
            until_s=days * DAY_S,
        )
        centre = Centre(scenario, world.catalogue, stage, seed=seed, days=days, on_end=settle, name=name, env=env)
        lines.write(Beginning(scenario.name, seed, scenario.start, days), *episodes(scenario, days))
        told: list[Unsealed] = []
        for fraction in centre.steps():
            told += stage.take()
            if len(told) >= _BATCH or fraction == 1.0:
                yield Happened(fraction, told)
                told = []
        arms[None] = centre.tally
        for arm, counted in sorted(arms.items(), key=str):
            lines.write(TrueKpis(arm, counted.contacts, counted.figures(scenario.costs)))
        if truth is not None:
            for step, effects in true_effects(world, seed=seed, days=days):
                yield Compared(step)
                lines.write(*effects)
        yield Ended(centre.tally.contacts, centre.lost, centre.tally.figures(scenario.costs))


def true_effects(world: World, *, seed: int, days: float) -> Iterator[tuple[float, list[TrueEffect]]]:
    """What each arm does, had it served everybody, compared with the first arm serving everybody.

    The centre is simulated several times with each, with the same customers, for at most four weeks. Where arms
    share queues and agents, this is what an experiment should find, and what comparing their customers is not.

    Yields:
        The fraction done, and the effects when all is.
    """
    scenario = world.scenario
    versions = scenario.bot.arms
    if len(versions) < _TWO:
        return
    found: list[list[dict[str, float | None]]] = []
    for pair in range(_PAIRS):
        yield pair / _PAIRS, []
        found.append(
            [_everybody(world, arm, seed=seed + 1 + pair, days=min(days, _EFFECT_DAYS)) for arm in range(len(versions))]
        )
    effects = []
    for arm in range(1, len(versions)):
        for kpi in KPIS:
            pairs = [(runs[arm][kpi], runs[0][kpi]) for runs in found]
            differences = [one - other for one, other in pairs if one is not None and other is not None]
            if len(differences) >= _TWO:
                error = stdev(differences) / math.sqrt(len(differences))
                effects.append(TrueEffect(versions[arm].version, versions[0].version, kpi, fmean(differences), error))
    yield 1.0, effects


def _everybody(world: World, arm: int, *, seed: int, days: float) -> dict[str, float | None]:
    """The KPIs when one arm, the very model that served its share, serves all customers."""
    bot = cast("Bot", world.bot)  # there are arms
    only = msgspec.structs.replace(world.scenario.bot.arms[arm], share=1.0)
    table = msgspec.structs.replace(world.scenario.bot, arms=(only,))
    scenario = msgspec.structs.replace(world.scenario, bot=table)
    stage = Silent(Bot((bot.versions[arm],)))
    return Centre(scenario, world.catalogue, stage, seed=seed, days=days).run().figures(scenario.costs)
