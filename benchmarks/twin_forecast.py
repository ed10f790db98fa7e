"""What-if forecasts against what then happens: how often the 90 % intervals hold.

A contact centre and a model are drawn at random. The model is tested on 200 to 2,000 texts, equally many of each
intent; the forecast sees that test and nothing else of it. Later periods with the true model, other customers and
other arrivals give the true KPIs. The volume, the mix, languages, channels, hours, handling times, patience, staffing
(from tight to loose) and the threshold differ from centre to centre, and so do the model's accuracy, errors and
confidence from intent to intent.

The baseline takes the test at its word (plug-in): its intervals know the chance of a period, but not that the test is
itself one sample. Widths are told beside, in units of how far the true KPI spreads between centres: an interval that
always holds because it is endless is worth nothing.

What this does not show: how well a scenario describes a real centre, nor texts unlike those of the test.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
from datetime import datetime, time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from headset.registry.confusion import Confusion
from headset.twin.behaviour import Behaviour, Sureness, behave_like
from headset.twin.bot import Bot, BotVersion, Guess
from headset.twin.catalogue import phrasebook_catalogue
from headset.twin.centre import Centre
from headset.twin.demand import first_intents
from headset.twin.forecast import Plan, Study, forecast, prediction_interval
from headset.twin.rule import check_scenario
from headset.twin.scenario import Bot as BotTable
from headset.twin.scenario import Calendar, Customers, Queue, Scenario, Team
from headset.twin.silent import Silent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

SEED = 20261122
TARGET = 0.85
LEVEL = 0.9
KPIS = ("aht_s", "containment", "transfer_rate", "service_level", "occupancy", "csat", "cost_per_contact")
TEST_ROWS = (200, 2_000)
PER_DAY = (1_000, 2_000)
HOURS = (1, 1, 1, 1, 1, 2, 6, 12, 20, 24, 25, 24, 21, 20, 21, 22, 22, 20, 17, 14, 11, 8, 4, 2)
CATALOGUE = phrasebook_catalogue()


class Truth(Struct, frozen=True):
    """A model as it is.

    ``said`` (k, k) holds what it says of each intent, ``sureness`` (k, 2, 2) the two parameters of the Beta
    distribution of its confidence, for each intent where it is right and where it is wrong.
    """

    intents: tuple[str, ...]
    said: Numbers
    sureness: Numbers
    threshold: float

    def behaviour(self, generator: np.random.Generator) -> Behaviour:
        """The same, to be simulated."""
        drawn = [[generator.beta(one, other, 2_000).tolist() for one, other in both] for both in self.sureness]
        said = {
            intent: dict(zip(self.intents, row.tolist(), strict=True))
            for intent, row in zip(self.intents, self.said, strict=True)
        }
        return Behaviour(said, {i: Sureness(*two) for i, two in zip(self.intents, drawn, strict=True)}, [0.5])

    def test(self, rows: int, generator: np.random.Generator) -> Confusion:
        """What a test sees of it."""
        size = len(self.intents)
        counts = np.zeros((size, size), dtype=int)
        sure: list[tuple[list[float], list[float]]] = [([], []) for _ in self.intents]
        for row in range(rows):
            intent = row % size
            answer = generator.choice(size, p=self.said[intent])
            counts[intent, answer] += 1
            wrong = int(answer != intent)
            sure[intent][wrong].append(round(generator.beta(*self.sureness[intent, wrong]), 4))
        return Confusion(
            intents=self.intents,
            counts=tuple(map(tuple, counts.tolist())),
            right=tuple(tuple(both[0]) for both in sure),
            wrong=tuple(tuple(both[1]) for both in sure),
            threshold=self.threshold,
        )


class Size(Struct, frozen=True):
    """How much is simulated: centres, days of each period, runs of each forecast, periods that come later."""

    centres: int
    days: float
    runs: int
    later: int


class Found(Struct, frozen=True):
    """One centre, shapes (KPIS, 2) of bounds and (KPIS, later) of what happened."""

    forecast: Numbers
    plug_in: Numbers
    happened: Numbers


def draw_truth(generator: np.random.Generator, intents: tuple[str, ...]) -> Truth:
    """Some model of these intents."""
    size = len(intents)
    accuracy = generator.uniform(0.75, 0.95)
    said = generator.dirichlet(np.full(size, 0.3), size)
    np.fill_diagonal(said, 0.0)
    right = generator.beta(12 * accuracy, 12 * (1 - accuracy), size)
    said *= ((1 - right) / said.sum(axis=1))[:, None]
    np.fill_diagonal(said, right)
    middle = np.array([generator.uniform(0.72, 0.88), generator.uniform(0.4, 0.6)])
    mean = np.clip(middle + generator.normal(0, 0.06, (size, 2)), 0.05, 0.95)
    weight = generator.uniform(5, 12)
    return Truth(intents, said, np.stack([mean, 1 - mean], axis=2) * weight, float(generator.uniform(0.5, 0.8)))


def draw_scenario(generator: np.random.Generator) -> Scenario:
    """Some centre."""
    names = generator.permutation([*first_intents(CATALOGUE)])[: generator.integers(8, 29)].tolist()
    languages = ["en", "es", "de"][: generator.integers(1, 4)]
    per_day = generator.uniform(*PER_DAY)
    handle = generator.uniform(180, 540, 2)
    groups = sorted(set(CATALOGUE.groups.values()))
    split = generator.integers(2, len(groups) - 1)
    by_day = bool(generator.integers(2))
    hours = HOURS if by_day else (1,) * 24
    to_people = generator.uniform(0.35, 0.65)  # only to find a staffing in proportion; the true share is the model's
    load = per_day * to_people * (handle.mean() + 45) / 86_400 * (max(hours) * 24 / sum(hours))
    agents = max(4, round(load / generator.uniform(0.65, 1.05)))
    night = max(1, round(agents / 8))
    parts = np.maximum(1, np.round((agents - night) * generator.dirichlet([8, 8, 4])).astype(int)).tolist()
    team = partial(Team, languages=tuple(languages))
    day = partial(team, shift=(time(7), time(21)) if by_day else (time(0), time(0)))
    both = ("front", "back")
    chat, voice, email = generator.dirichlet([4.0, 3.0, 1.0])
    return Scenario(
        name="random",
        start=datetime(2026, 3, 2, 8),  # noqa: DTZ001 - the centre's own clock
        days=1,
        contacts_per_day=per_day,
        intents=_shares(generator.dirichlet(np.full(len(names), 2.0)), names),
        languages=_shares(generator.dirichlet([6.0, 2.0, 2.0][: len(languages)]), languages),
        channels={"chat": chat, "voice": voice, "email": email},
        customers=Customers(
            patience_s={"chat": generator.uniform(90, 400), "voice": generator.uniform(60, 300)},
            leave_ratio=generator.uniform(0.1, 0.3),
            retry_ratio=generator.uniform(0.2, 0.6),
        ),
        calendar=Calendar(hours=tuple(map(float, hours))),
        queues={
            "front": Queue(takes=tuple(groups[:split]), handle_s=handle[0], wrap_s=45),
            "back": Queue(handle_s=handle[1], wrap_s=45, service_level_s=float(generator.choice([20, 30, 60]))),
        },
        teams=(
            day(name="front", agents=parts[0], queues=("front",)),
            day(name="back", agents=parts[1], queues=("back",)),
            day(name="both", agents=parts[2], queues=both),
            team(name="always", agents=night, queues=both),
        ),
        bot=BotTable(solve_ratio=generator.uniform(0.7, 0.9), assist_ratio=generator.uniform(0.0, 0.2)),
    )


def _shares(weights: Numbers, names: list[str]) -> dict[str, float]:
    return dict(zip(names, (weights / weights.sum()).tolist(), strict=True))


def happen(scenario: Scenario, model: Behaviour, threshold: float, seed: int, days: float) -> list[float]:
    """The KPIs of one period with this model."""
    bot = Bot((BotVersion("1", Guess(model), threshold),))
    figures = Centre(scenario, CATALOGUE, Silent(bot), seed=seed, days=days).run().figures(scenario.costs)
    return [np.nan if (value := figures[kpi]) is None else value for kpi in KPIS]


def study(task: tuple[np.random.SeedSequence, Size]) -> Found:
    """Draw a centre, forecast it, and see what happens."""
    seeds, size = task
    generator = np.random.Generator(np.random.PCG64(seeds))
    scenario = draw_scenario(generator)
    check_scenario(scenario, CATALOGUE)
    truth = draw_truth(generator, tuple(scenario.intents))
    confusion = truth.test(round(np.exp(generator.uniform(*np.log(TEST_ROWS)))), generator)
    first, *others = (int(seed) for seed in generator.integers(2**62, size=1 + size.runs + size.later))
    how = Study(days=size.days, runs=size.runs, seed=first, level=LEVEL)
    foreseen = forecast(scenario, CATALOGUE, Plan(confusion=confusion), how).figures
    kpis = partial(happen, scenario, threshold=confusion.threshold, days=size.days)
    plain = np.array([kpis(behave_like(confusion), seed=seed) for seed in others[: size.runs]])
    model = truth.behaviour(generator)
    happened = np.array([kpis(model, seed=seed) for seed in others[size.runs :]])
    bounds = [(foreseen[kpi].low, foreseen[kpi].high) for kpi in KPIS]
    plug_in = [prediction_interval(column[~np.isnan(column)].tolist(), LEVEL) for column in plain.T]
    return Found(np.array(bounds, dtype=float), np.array(plug_in, dtype=float), happened.T)


def main() -> None:
    """Study all centres on all cores and print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer centres, shorter periods, fewer runs")
    size = Size(20, 0.25, 20, 4) if parser.parse_args().quick else Size(50, 1, 39, 5)
    tasks = [(seeds, size) for seeds in np.random.SeedSequence(SEED).spawn(size.centres)]
    with multiprocessing.Pool() as pool:
        found = pool.map(study, tasks, chunksize=1)

    happened = np.stack([each.happened for each in found])  # (centres, KPIS, later)
    spread = np.nanstd(np.nanmean(happened, axis=2), axis=0)
    columns = []
    for bounds in (np.stack([each.forecast for each in found]), np.stack([each.plug_in for each in found])):
        low, high = bounds[..., :1], bounds[..., 1:]
        known = ~np.isnan(happened)
        holds = ((low <= happened) & (happened <= high) & known).sum(axis=(0, 2)) / known.sum(axis=(0, 2))
        columns += [holds, (high - low)[..., 0].mean(axis=0) / spread]
    table = Table("KPI", "holds", "width", "holds, plug-in", "width, plug-in", "spread of centres")
    for kpi, *cells, apart in zip(KPIS, *columns, spread, strict=True):
        table.add_row(kpi, *(f"{cell:.3f}" for cell in cells), f"{apart:.4g}")
    table.add_row("mean", *(f"{column.mean():.3f}" for column in columns))
    table.add_row("worst", *(f"{f(column):.3f}" for f, column in zip((min, max, min, max), columns, strict=True)))
    Console(width=120).print(table)
    print(
        f"{size.centres} centres of {PER_DAY[0]:,} to {PER_DAY[1]:,} contacts a day, periods of {size.days:g} days,"
        f" {size.runs} runs of each forecast, {size.later} periods later; width: mean, in spreads of centres"
    )
    share, worst = float(columns[0].mean()), float(columns[0].min())
    plain, worst_plain = float(columns[2].mean()), float(columns[2].min())
    result = {
        "name": "twin_forecast",
        "figure": round(share, 3),
        "unit": f"share of true figures in their {100 * LEVEL:g} % interval (worst of {len(KPIS)} KPIs: {worst:.3f})",
        "target": TARGET,
        "holds": share >= TARGET,
        "baseline": f"intervals that take the test at its word: {plain:.3f} (worst {worst_plain:.3f})",
        "machine": f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}",
        "seed": SEED,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
