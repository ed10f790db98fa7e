"""What each version of a bot truly does to the KPIs, had it served everybody."""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from headset.twin.bot import Bot
from headset.twin.centre import Centre
from headset.twin.silent import Silent
from headset.twin.tally import KPIS
from headset.twin.truth import TrueEffect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headset.twin.bot import BotVersion
    from headset.twin.world import World

DAYS = 28
"""Effects are those of at most so many days from the scenario's start."""

_PAIRS = 10


def true_effects(world: World, *, seed: int, days: float) -> Iterator[tuple[float, list[TrueEffect]]]:
    """Each arm serving everybody, compared with the first arm serving everybody.

    The centre is simulated several times with each, with the same customers. Where arms share queues and agents,
    this is what an experiment should find, and what comparing their customers is not. Of models that read the texts
    nothing is said: nobody writes texts here.

    Yields:
        The fraction done, and the effects when all is.
    """
    bot = world.bot
    if bot is None or bot.needs_text or len(bot.versions) == 1:
        return
    first, *others = bot.versions
    found: list[list[dict[str, float | None]]] = []
    for pair in range(_PAIRS):
        yield pair / _PAIRS, []
        (chance,) = np.random.SeedSequence(seed, spawn_key=(pair,)).generate_state(1, np.uint64)
        found.append([_everybody(world, each, seed=int(chance), days=min(days, DAYS)) for each in bot.versions])
    effects = []
    for place, version in enumerate(others, start=1):
        for kpi in KPIS:
            pairs = [(runs[place][kpi], runs[0][kpi]) for runs in found]
            differences = [one - other for one, other in pairs if one is not None and other is not None]
            if len(differences) > 1:
                error = stdev(differences) / math.sqrt(len(differences))
                effects.append(TrueEffect(version.version, first.version, kpi, fmean(differences), error))
    yield 1.0, effects


def _everybody(world: World, version: BotVersion, *, seed: int, days: float) -> dict[str, float | None]:
    """The KPIs when the very model that served its share serves all customers."""
    table = world.scenario.bot
    only = next(msgspec.structs.replace(arm, share=1.0) for arm in table.arms if arm.version == version.version)
    scenario = msgspec.structs.replace(world.scenario, bot=msgspec.structs.replace(table, arms=(only,)))
    stage = Silent(Bot((version,)))
    return Centre(scenario, world.catalogue, stage, seed=seed, days=days).run().figures(scenario.costs)
