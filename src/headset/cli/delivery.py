"""The commands of delivery: begin a project, and see what delivering it would touch."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from headset.app import open_installation
from headset.cli.features import plan_definitions, print_plan, tell_plan
from headset.cli.terminal import HOME, HomeOption, JsonOption, out, print_json, read_config
from headset.core.clock import MICROSECONDS

if TYPE_CHECKING:
    from headset.app import Installation
    from headset.delivery.plan import DeliveryPlan, Load
    from headset.delivery.project import Project
    from headset.registry.store import ModelVersion

_DAYS = 30
_DAY_US = 86_400 * MICROSECONDS
_FILES_SHOWN = 20
_SAMPLES = {"learn": 2_400, "test": 900, "unseen": 2_400}


def init(
    folder: Annotated[Path, typer.Argument(help="Where; empty or not there yet.")],
    name: Annotated[str | None, typer.Option("--name", help="Of the project; the folder's when left out.")] = None,
    json: JsonOption = False,
) -> None:
    """Begin a project for your Git: model code, features, tests, sample data, pipelines that run as they are."""
    from headset.delivery.template import start_project, write_conversations, write_rows
    from headset.twin.example import write_examples
    from headset.twin.scenario import read_scenario
    from headset.twin.world import make_world

    chosen = name or folder.absolute().name.lower().replace("_", "-")
    world = make_world(read_scenario("quiet_week"))
    made = {
        part: write_examples(world, count, random.Random(f"init:{part}"), language="en", channel="chat")
        for part, count in _SAMPLES.items()
    }
    learned = {_plain(each.text) for part in ("learn", "test") for each in made[part]}
    made["unseen"] = [each for each in made["unseen"] if _plain(each.text) not in learned]
    samples = {f"{part}.csv": write_rows(made[part]) for part in ("learn", "test")}
    samples["unseen.jsonl"] = write_conversations(made["unseen"], ("north", "south"))
    written = start_project(folder, chosen, samples)
    if json:
        print_json({"name": chosen, "files": [str(path) for path in written]})
        return
    out.print(f"{len(written)} files in {folder}; what to do next is in {folder / 'README.md'}", soft_wrap=True)


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def plan(
    folder: Annotated[Path, typer.Argument(help="Folder of the project, see 'headset init'.")] = Path(),
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Show which models, queues and contacts a day a delivery would touch, before anything is changed."""
    from headset.delivery.project import read_project

    project = read_project(folder)
    with open_installation(read_config(home)) as parts:
        planned = _plan(parts, folder, project)
    if json:
        print_json(msgspec.to_builtins(msgspec.structs.asdict(planned) | {"features": tell_plan(planned.features)}))
    else:
        _print(planned)


def _plan(parts: Installation, folder: Path, project: Project) -> DeliveryPlan:
    from headset.delivery.plan import DeliveryPlan, differences, settings, touched
    from headset.training.recipe import IntentRequest, read_recipe

    request = IntentRequest(
        name=project.model,
        dataset=project.data.learn,
        test=project.data.test,
        target_precision=project.precision,
        recipe=read_recipe(folder / project.recipe),
    )
    champion = parts.registry.champion(project.model)
    changed = differences(None if champion is None else _asked(champion), settings(request))
    files = None if champion is None else _changed_files(folder, champion.made.commit)
    features, commit = plan_definitions(parts, folder / project.features)
    loads, days = _loads(parts)
    return DeliveryPlan(
        project=project.name,
        commit=commit,
        model=project.model,
        champion=None if champion is None else champion.version,
        champion_commit=None if champion is None else champion.made.commit,
        differences=changed,
        files=files,
        features=features,
        touched=touched(project.model, champion, features, loads, changes=len(changed) + len(files or ())),
        days=days,
    )


def _asked(known: ModelVersion) -> dict[str, Any]:
    """The settings a version was trained with, as far as it says."""
    from headset.core.errors import InvalidInput
    from headset.delivery.plan import settings
    from headset.training.recipe import read_request

    try:
        return settings(read_request(known.made.request, known.version))
    except InvalidInput:
        return {"dataset": known.made.dataset, "seed": known.made.seed}


def _changed_files(folder: Path, commit: str) -> list[str] | None:
    """What differs from a commit in the project's folder; None where Git does not know the commit."""
    command = ["git", "-C", str(folder), "diff", "--name-only", "--relative", commit.removesuffix("-dirty"), "--", "."]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.splitlines() if done.returncode == 0 else None


def _loads(parts: Installation) -> tuple[dict[str, list[Load]], float]:
    """By model, the conversations a day it decided in, by queue, the busiest first; and over how many days."""
    from headset.delivery.plan import Load

    parts.record.catch_up()
    now = parts.clock.now()
    since = now - _DAYS * _DAY_US
    risk = parts.config.decision.risk_model
    rows = parts.record.connection.execute(
        "SELECT model, queue, count(DISTINCT conversation_id), min(event_time) FROM ("
        " SELECT model, conversation_id, event_time FROM decision WHERE arm <> 'shadow' AND event_time >= :since"
        " UNION ALL SELECT :risk, conversation_id, event_time FROM decision"
        " WHERE risk_version <> '' AND event_time >= :since"
        ") JOIN conversation USING (conversation_id) GROUP BY model, queue",
        {"since": since, "risk": risk},
    ).fetchall()
    days = max((now - min((first for *_, first in rows), default=now)) / _DAY_US, 1.0)
    loads: dict[str, list[Load]] = {}
    for model, queue, count, _ in sorted(rows, key=lambda row: -row[2]):
        loads.setdefault(model, []).append(Load(queue or "default", round(count / days, 1)))
    return loads, round(days, 1)


def _print(planned: DeliveryPlan) -> None:
    champion = planned.champion
    serves = "nobody serves now" if champion is None else f"version {champion} of {planned.champion_commit} serves now"
    out.print(Text(f"{planned.project} {planned.commit}: {planned.model}, {serves}", "bold"), soft_wrap=True)
    if planned.commit.endswith("-dirty"):
        out.print(Text("  files differ from the commit: commit them before you deliver", "red"), soft_wrap=True)
    for each in planned.differences:
        line = Text(f"  {each.field}: ")
        line.append(each.before or "–", "red").append(" → ").append(each.after or "–", "green")
        out.print(line, soft_wrap=True)
    if planned.files is None and champion is not None:
        out.print("  Git does not know the champion's commit here, so files cannot be compared", soft_wrap=True)
    for name in (planned.files or ())[:_FILES_SHOWN]:
        out.print(Text(f"  {name}", "yellow"), soft_wrap=True)
    if len(planned.files or ()) > _FILES_SHOWN:
        out.print(f"  and {len(planned.files or ()) - _FILES_SHOWN} more files")
    print_plan(planned.features, brief=True)
    table = Table("touched", "because", "queue", "contacts a day")
    for model in planned.touched:
        name = model.model if model.version is None else f"{model.model} {model.version}"
        table.add_row(Text(name), Text(model.reason), f"all {len(model.queues)}", f"{model.contacts_per_day:,.1f}")
        for load in model.queues:
            table.add_row("", "", Text(load.queue), f"{load.contacts_per_day:,.1f}")
    out.print(table)
    out.print(
        f"counted over the last {planned.days:g} days; as candidate and in shadow a version answers none of them,"
        " as champion all",
        soft_wrap=True,
    )
