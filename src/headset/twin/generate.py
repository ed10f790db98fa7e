"""A simulated period written into a log at full speed, and the truth about it into a file."""

from __future__ import annotations

from contextlib import nullcontext
from random import Random
from typing import TYPE_CHECKING

import simpy
from msgspec import Struct

from headset.core.clock import MICROSECONDS
from headset.core.errors import StorageFailed
from headset.core.ids import Ids
from headset.twin.catalogue import assign_queues
from headset.twin.centre import DAY_S, Centre
from headset.twin.child_process import stream_from_child
from headset.twin.effect import true_effects
from headset.twin.fault import Faults
from headset.twin.recorded import Recorded
from headset.twin.script import Script
from headset.twin.simulated_clock import SimulatedClock
from headset.twin.tally import Tally
from headset.twin.truth import Beginning, Line, TrueKpis, episodes, true_contact
from headset.twin.unsealed import Sealer, Unsealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from headset.core.clock import ManualClock
    from headset.events.door import Door
    from headset.events.log import Log
    from headset.twin.stage import Contact
    from headset.twin.tally import Course
    from headset.twin.truth import TruthFile
    from headset.twin.world import World


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
    """What happened since the last message, its truth, and the fraction of the period that is over."""

    fraction: float
    told: list[Unsealed]
    truth: list[Line]


class Compared(Struct, frozen=True, tag=True, array_like=True):
    """The fraction of the true effects that is known, and the effects when all of it is."""

    fraction: float
    truth: list[Line]


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
    score: Callable[[str], float],
    seed: int,
    days: float,
    truth: TruthFile | None = None,
    clock: ManualClock | None = None,
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
        score: Sentiment of a text, -1 to 1.
        seed: Of everything.
        days: How many; may be a fraction.
        truth: Where the truth goes; about what is in the log, and never ahead of it.
        clock: The log's, where it is to say that everything was recorded when it happened; it is moved along.
        model: Name of the model that decisions are recorded under.
        name: Begins the ids of conversations; another name adds to a log that has some.
        progress: Told the phase and the fraction done.

    Raises:
        StorageFailed: the log or the truth could not be written.
    """
    phase = f"simulating {world.scenario.name}"
    events = 0
    arguments = (world, seed, days, truth is not None, model, name)
    sealer = Sealer(door, score)
    reads = world.bot is not None and world.bot.needs_text  # such models stay in the process that loaded them
    with nullcontext(tell(*arguments)) if reads else stream_from_child(tell, arguments, Message) as messages:
        for message in messages:
            match message:
                case Happened(fraction, told):
                    sealed = [sealer.seal(each) for each in told]
                    if sealed:
                        if clock is not None:
                            clock.advance((sealed[-1].event_time - clock.now()) / MICROSECONDS)
                        log.append(sealed)
                        events += len(sealed)
                    progress(phase, fraction)
                case Compared(fraction):
                    progress("true effects", fraction)
                case Ended():
                    return Generated(message.contacts, events, message.lost, message.figures)
            if truth is not None:
                truth.write(*message.truth)
    raise StorageFailed("the simulation ended early; its message is above")


def tell(
    world: World,
    seed: int,
    days: float,
    with_effects: bool,  # noqa: FBT001 - another process is given arguments by position
    model: str,
    name: str,
) -> Iterator[Message]:
    """The same as a stream of messages, in order of time."""
    scenario = world.scenario
    arms = {arm.version: Tally() for arm in scenario.bot.arms}
    lines: list[Line] = [Beginning(scenario.name, seed, scenario.start, days), *episodes(scenario, days)]

    def settle(contact: Contact, course: Course) -> None:
        if course.arm is not None:
            arms[course.arm].count(contact, course)
        lines.append(true_contact(contact, course, scenario.start))

    env = simpy.Environment()
    clock = SimulatedClock(env, scenario.start)
    stage = Recorded(
        env=env,
        clock=clock,
        ids=Ids(clock, Random(f"{seed}:{name}:ids")),  # noqa: S311 - equal seeds give equal ids
        script=Script(scenario, world.utterances),
        faults=Faults(scenario),
        queue_of=assign_queues(scenario, world.catalogue),
        bot=world.bot,
        model=model,
        until_s=days * DAY_S,
    )
    centre = Centre(scenario, world.catalogue, stage, seed=seed, days=days, on_end=settle, name=name, env=env)
    for fraction in centre.steps():
        told = stage.take()
        yield Happened(fraction, told, lines)
        lines = []
    figures = centre.tally.figures(scenario.costs)
    kpis: list[Line] = [TrueKpis(None, centre.tally.contacts, figures)]
    if len(arms) > 1:
        kpis += [TrueKpis(arm, each.contacts, each.figures(scenario.costs)) for arm, each in arms.items()]
    yield Compared(0.0, kpis)
    if with_effects:
        for fraction, effects in true_effects(world, seed=seed, days=days):
            yield Compared(fraction, list(effects))
    yield Ended(centre.tally.contacts, centre.lost, figures)
