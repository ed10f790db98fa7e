"""The commands of the simulated contact centre."""

from __future__ import annotations

import csv
import io
import os
import random
import secrets
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer
from rich.table import Table

from headset.app import open_installation
from headset.app.serving import twin_version
from headset.cli.terminal import (
    HOME,
    HomeOption,
    HostOption,
    JsonOption,
    PortOption,
    check_range,
    err,
    out,
    print_json,
    print_text,
    progress_bars,
    read_config,
    server_url,
)
from headset.core.clock import SystemClock
from headset.core.config import load_config
from headset.core.errors import AccessDenied, InvalidInput, StorageFailed
from headset.supervisor import stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from headset.app import Installation
    from headset.registry.confusion import Confusion
    from headset.twin.forecast import Forecast, WhatIf
    from headset.twin.live import LiveRun
    from headset.twin.scenario import Scenario
    from headset.twin.world import World

twin = typer.Typer(help="The simulated contact centre, whose truth is known.", no_args_is_help=True)

ScenarioArgument = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="A TOML file, or the name of a shipped scenario, see 'twin list'.")
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed; the scenario's when left out.")
]
DaysOption = Annotated[float | None, typer.Option("--days", help="How many days; the scenario's number when left out.")]
_DAYS_LIMIT = 3_660
_SPEED_LIMIT = 100_000
_EXAMPLES_LIMIT = 1_000_000
_KINDS: dict[str, Literal["png", "svg"]] = {".png": "png", ".svg": "svg"}
KEY_VARIABLE = "HEADSET_KEY"


@twin.command(name="list")
def list_scenarios(json: JsonOption = False) -> None:
    """List the scenarios that come with Headset."""
    from headset.twin.scenario import read_scenario, scenario_names

    known = {name: read_scenario(name) for name in scenario_names()}
    if json:
        print_json([{"name": name, "days": each.days, "description": each.description} for name, each in known.items()])
        return
    table = Table("name", "days", "contacts a day", "what happens")
    for name, each in known.items():
        table.add_row(name, str(each.days), f"{each.contacts_per_day:g}", each.description)
    out.print(table)


@twin.command(name="generate")
def generate_log(
    place: ScenarioArgument,
    target: Annotated[Path, typer.Option("--out", help="New home folder that the log is written into.")],
    days: DaysOption = None,
    seed: SeedOption = None,
    truth: Annotated[
        Path | None, typer.Option("--truth", help="File for the truth; OUT/truth.jsonl when left out.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Version or alias of the home folder's model, which then reads the texts."),
    ] = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Write a simulated period into a new log at full speed, and the truth about it into a file."""
    from headset.core.clock import ManualClock
    from headset.features.sentiment import Sentiment
    from headset.twin.generate import generate
    from headset.twin.truth import TruthFile

    scenario = _read(place, days)
    seed = scenario.seed if seed is None else seed
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidInput("out", f"{target} is there already and not empty; name a new folder")
    world = _world(scenario, home, model=model)
    clock = ManualClock()
    entropy = random.Random(f"{seed}:keys").randbytes
    truth = truth or target / "truth.jsonl"
    if target.absolute() in truth.absolute().parent.parents:
        raise InvalidInput("truth", f"is {truth}, in a folder of the new home's own; put it beside them or elsewhere")
    with (
        TruthFile(truth) as lines,
        open_installation(load_config(target.absolute(), {}), clock=clock, entropy=entropy) as parts,
        progress_bars(quiet=json) as progress,
    ):
        made = generate(
            world,
            log=parts.log,
            door=parts.door,
            clock=clock,
            score=Sentiment().score,
            seed=seed,
            days=days or scenario.days,
            truth=lines,
            model=parts.config.decision.model,
            progress=progress,
        )
    if json:
        print_json({"home": str(target), "truth": str(truth), "seed": seed} | msgspec.to_builtins(made))
        return
    told = f"{made.contacts} conversations, {made.events} events in {target}; the truth is in {truth}"
    out.print(told, markup=False, highlight=False, soft_wrap=True)
    out.print(_figures(made.figures))


@twin.command(name="run")
def run_scenario(  # noqa: PLR0917 - typer passes options by name
    place: ScenarioArgument,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            help=f"A server; the environment variable {KEY_VARIABLE} must hold a key of it. When left out, that of the"
            " home folder, with its development key unless the variable holds another.",
        ),
    ] = None,
    speed: Annotated[float, typer.Option("--speed", help="Simulated seconds per second.")] = 60.0,
    days: Annotated[float | None, typer.Option("--days", help="Stop after so many; go on when left out.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed; a fresh one when left out.")] = None,
    truth: Annotated[
        Path | None, typer.Option("--truth", help="New file for the truth; none is kept when left out.")
    ] = None,
    home: HomeOption = HOME,
    host: HostOption = None,
    port: PortOption = None,
    json: JsonOption = False,
) -> None:
    """Hold a scenario's conversations with a live server, in real or compressed time, until stopped."""
    from headset.twin.desk import open_client
    from headset.twin.live import run_live
    from headset.twin.truth import TruthFile

    check_range("speed", speed, _SPEED_LIMIT)
    scenario = _read(place, days)
    seed = secrets.randbits(62) if seed is None else seed
    config = read_config(home, host, port)
    key = os.environ.get(KEY_VARIABLE)
    if not key and url is None:
        with open_installation(config) as parts:
            key = parts.development_key()
    if not key:
        raise AccessDenied(
            "the development key is only for the home folder's own server, on loopback; make a key where the server is"
            f" with 'headset keys create NAME --scope decide --scope feedback', and put it into {KEY_VARIABLE}"
        )
    world = _world(scenario, home)
    stop = stop_on_signals()
    with (
        open_client(server_url(config) if url is None else url, key) as client,
        TruthFile(truth) as lines,
        _status_line(shown=err.is_terminal and not json) as watch,
    ):
        report = run_live(
            world,
            client=client,
            clock=SystemClock(),
            seed=seed,
            speed=speed,
            days=days,
            wait=stop.wait,
            run=secrets.token_hex(4),
            truth=lines,
            watch=watch,
        )
    if report.lost and not report.begun:
        raise StorageFailed(f"no conversation could begin, {report.lost} were tried: {report.problem}")
    if json:
        print_json(report)
        return
    lost = f", {report.lost} lost ({report.problem})" if report.lost else ""
    right = f", {report.right} of {report.decided} first turns read right" if report.decided else ""
    told = f"{report.begun} conversations, {report.handed_off} handed to a person{right}{lost}"
    out.print(f"{told}; at worst {report.behind_s:.0f} simulated seconds behind", markup=False)
    out.print(_figures(report.figures))


@twin.command(name="simulate")
def simulate(  # noqa: PLR0917 - typer passes options by name
    place: Annotated[str, typer.Option("--scenario", metavar="SCENARIO", help="A TOML file or a shipped scenario.")],
    confusion: Annotated[
        str | None,
        typer.Option("--confusion", help="A model version or alias of the home folder, or a confusion.json."),
    ] = None,
    agents: Annotated[
        list[str] | None,
        typer.Option("--agents", metavar="TEAM=N", help="Change a team: care=8, care=+2 or care=-1; repeatable."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="Confidence from which the bot answers alone.")
    ] = None,
    days: DaysOption = None,
    runs: Annotated[int, typer.Option("--runs", help="Simulated periods; more make finer intervals.")] = 99,
    level: Annotated[float, typer.Option("--level", help="Of the intervals.")] = 0.9,
    seed: SeedOption = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Forecast the KPIs with a model that is known by its confusion matrix, or with other staffing."""
    from headset.twin.forecast import Plan, Study, forecast, read_agents, what_if
    from headset.twin.forecast_table import render

    scenario = _read(place, days)
    seed = scenario.seed if seed is None else seed
    world = _world(scenario, home)
    base = Plan(confusion=None if confusion is None else _confusion(confusion, home))
    changed = msgspec.structs.replace(base, threshold=threshold, agents=read_agents(agents or (), scenario))
    study = Study(days=days or scenario.days, runs=runs, seed=seed, level=level)
    processes = os.cpu_count() or 1
    found: Forecast | WhatIf
    with progress_bars(quiet=json) as progress:

        def tell(fraction: float) -> None:
            progress(f"simulating {scenario.name}", fraction)

        if changed == base:
            found = forecast(scenario, world.catalogue, base, study, processes=processes, progress=tell)
        else:
            found = what_if(scenario, world.catalogue, base, changed, study, processes=processes, progress=tell)
    if json:
        print_json(found)
    else:
        out.print(render(found))


@twin.command(name="plot")
def plot(
    place: ScenarioArgument,
    target: Annotated[Path, typer.Option("--out", help="The picture: a .png or .svg file.")],
    days: DaysOption = None,
    seed: SeedOption = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Draw a period's volume, mix and incidents."""
    from headset.twin.plot import draw_year

    kind = _KINDS.get(target.suffix.lower())
    if kind is None:
        raise InvalidInput("out", f"is {str(target)!r}; name a file that ends in {' or '.join(_KINDS)}")
    scenario = _read(place, days)
    seed = scenario.seed if seed is None else seed
    world = _world(scenario, home)
    with progress_bars(quiet=json) as progress:
        picture = draw_year(
            scenario,
            world.catalogue,
            seed=seed,
            days=days or scenario.days,
            file_format=kind,
            progress=progress,
        )
    try:
        target.write_bytes(picture)
    except OSError as error:
        raise StorageFailed(f"{target} cannot be written ({error.strerror}); name another with --out") from error
    if json:
        print_json({"out": str(target), "bytes": len(picture)})
    else:
        out.print(f"drawn in {target}", markup=False, highlight=False, soft_wrap=True)


@twin.command(name="examples")
def examples(
    place: ScenarioArgument,
    count: Annotated[int, typer.Option("--count", min=1, help="How many.")] = 2_000,
    language: Annotated[str | None, typer.Option("--language", help="Of all; mixed when left out.")] = None,
    channel: Annotated[str | None, typer.Option("--channel", help="Of all: chat, voice or email.")] = None,
    target: Annotated[Path | None, typer.Option("--out", help="CSV file; standard output when left out.")] = None,
    seed: SeedOption = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Write labelled texts of a scenario's customers as CSV, to import and train on."""
    from headset.twin.example import write_examples

    check_range("count", count, _EXAMPLES_LIMIT)
    scenario = _read(place, None)
    seed = scenario.seed if seed is None else seed
    world = _world(scenario, home)
    if language is not None and language not in scenario.languages:
        raise InvalidInput("language", f"is {language!r}; this scenario has {', '.join(scenario.languages)}")
    if channel is not None and channel not in scenario.channels:
        raise InvalidInput("channel", f"is {channel!r}; this scenario has {', '.join(scenario.channels)}")
    found = write_examples(
        world,
        count,
        random.Random(f"{seed}:examples"),
        language=language,
        channel=next((known for known in scenario.channels if known == channel), None),
    )
    if json and target is None:
        print_json(found)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("text", "label", "language", "channel"))
    writer.writerows((each.text, each.label, each.language, each.channel) for each in found)
    if target is None:
        print_text(text.getvalue())
        return
    try:
        target.write_text(text.getvalue(), "utf-8")
    except OSError as error:
        raise StorageFailed(f"{target} cannot be written ({error.strerror}); name another with --out") from error
    if json:
        print_json({"out": str(target), "examples": len(found)})
        return
    err.print(
        f"{count} texts in {target}; import them with 'headset import csv {target} --as NAME'",
        markup=False,
        soft_wrap=True,
    )


def _confusion(place: str, home: Path) -> Confusion:
    """What a file, or the home folder's model of that version or alias, says of itself."""
    from headset.registry.confusion import find_confusion, read_confusion

    if place.endswith(".json"):
        return read_confusion(Path(place))
    with open_installation(read_config(home)) as parts:
        return find_confusion(parts.registry, parts.config.decision.model, place)


def _read(place: str, days: float | None) -> Scenario:
    from headset.twin.scenario import read_scenario

    if days is not None:
        check_range("days", days, _DAYS_LIMIT)
    return read_scenario(place)


def _world(scenario: Scenario, home: Path, *, model: str | None = None) -> World:
    """The scenario's world; texts and a model come from ``home``, which is opened only for them."""
    from headset.twin.bot import Bot
    from headset.twin.scenario import BotArm
    from headset.twin.world import make_world

    if scenario.texts.dataset is None and model is None:
        return make_world(scenario)
    with open_installation(read_config(home)) as parts:
        texts = None if scenario.texts.dataset is None else _texts(parts, scenario.texts.dataset)
        world = make_world(scenario, texts=texts)
        if model is None:
            return world
        version = twin_version(parts, model, world.catalogue.usual)
    arms = (BotArm(version=version.version),)
    table = msgspec.structs.replace(scenario.bot, arms=arms)
    return msgspec.structs.replace(world, scenario=msgspec.structs.replace(scenario, bot=table), bot=Bot((version,)))


def _texts(parts: Installation, dataset: str) -> Mapping[str, Sequence[str]]:
    from headset.data.dataset import read_dataset

    found = read_dataset(parts.log, parts.vault, dataset)
    texts: dict[str, list[str]] = {}
    for text, label in zip(found.texts, found.labels, strict=True):
        texts.setdefault(label, []).append(text)
    return texts


@contextmanager
def _status_line(*, shown: bool) -> Iterator[Callable[[LiveRun], None]]:
    """A line on standard error; a function of what happened so far."""
    if not shown:
        yield lambda _: None
        return
    with err.status("waiting for the first customer") as status:
        yield lambda state: status.update(_pulse(state))


def _pulse(state: LiveRun) -> str:
    """What happened so far in one line."""
    passed = timedelta(seconds=int(state.simulated_s))
    return (
        f"{passed} simulated · {state.begun} conversations · {state.lost} lost · at worst {state.behind_s:.0f} s behind"
    )


def _figures(figures: Mapping[str, float | None]) -> Table:
    table = Table("KPI", "true value")
    for name, value in figures.items():
        table.add_row(name, "–" if value is None else f"{value:.4g}")
    return table
