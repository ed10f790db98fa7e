"""The commands of feature definitions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from headset import __version__
from headset.app import open_installation
from headset.app.commit import current_commit
from headset.cli.terminal import HOME, HomeOption, JsonOption, out, print_json, read_config
from headset.core.clock import MICROSECONDS
from headset.core.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from headset.app import Installation
    from headset.features.catalogue import Entry
    from headset.features.definition import FeatureService, FeatureView
    from headset.features.plan import Action, Change, Definitions, Plan, Usage

features = typer.Typer(help="Define features: what is live, and what a change would touch.", no_args_is_help=True)

PathArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="PATH",
        help="A Python file, or a folder of them, with all views and services; the shipped ones when left out.",
        show_default=False,
    ),
]
_QUEUES_DAYS = 30
_COLOURS: dict[Action, str] = {
    "added": "green",
    "changed": "yellow",
    "described": "cyan",
    "removed": "red",
    "unchanged": "dim",
}
_SIGNS: dict[Action, str] = {"added": "+", "changed": "~", "described": "≈", "removed": "-", "unchanged": " "}


@features.command(name="list", epilog="Example: headset features list")
def list_features(home: HomeOption = HOME, json: JsonOption = False) -> None:
    """List the live views and services, and who reads them."""
    with open_installation(read_config(home)) as parts:
        views, services, users = parts.catalogue.views(), parts.catalogue.services(), _usages(parts)
        applied = _applied(parts.catalogue.history())
    in_use = [user for user in users if user.aliases]
    listed = [_summary(view, services, in_use, applied["view", view.name, view.version]) for view in views]
    if json:
        told = [_service_summary(each, in_use, applied["service", each.name, each.version]) for each in services]
        print_json({"views": listed, "services": told})
        return
    if not views:
        out.print("no feature view is live; apply the shipped ones with 'headset features apply'")
        return
    table = Table("view", "version", "entity", "features", "fresh within", "owner", "read by")
    for view, each in zip(views, listed, strict=True):
        readers = ", ".join((*each["services"], *each["models"]))
        cells = (view.name, view.version, view.entity, str(len(view.features)), view.freshness, view.owner, readers)
        table.add_row(*map(Text, cells))
    out.print(table)
    if services:
        shown = Table("service", "version", "features", "owner", "read by")
        for service in services:
            models = ", ".join(str(user) for user in in_use if user.service == service.name)
            row = (service.name, service.version, str(len(service.versions)), service.owner, models)
            shown.add_row(*map(Text, row))
        out.print(shown)


@features.command(name="show", epilog="Example: headset features show mood")
def show_feature(
    name: Annotated[str, typer.Argument(help="Name of a view or service, see 'headset features list'.")],
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Show a view or service: what it is made of, its versions, and what happened to it."""
    with open_installation(read_config(home)) as parts:
        catalogue = parts.catalogue
        views = catalogue.views(name)
        services = [each for each in catalogue.services() if each.name == name]
        history = catalogue.history(name)
        if not views and not services:
            there = sorted({view.name for view in catalogue.views()} | {each.name for each in catalogue.services()})
            known = f"there are {', '.join(there)}" if there else "apply definitions with 'headset features apply'"
            raise NotFound("name", f"no view or service {name!r} is live; {known}")
    if json:
        print_json(
            {
                "views": [_told(view) for view in views],
                "services": [_told(service) for service in services],
                "history": history,
            }
        )
        return
    for view in views:
        _print_view(view)
    for service in services:
        _print_service(service)
    table = Table("when", "what", "version", "commit", title="history", title_justify="left")
    for entry in history:
        what = f"{entry.what} {'applied' if entry.live else 'removed'}"
        table.add_row(*map(Text, (entry.when, what, entry.version, entry.commit)))
    out.print(table)


@features.command(name="plan", epilog="Example: headset features plan definitions/")
def plan_features(path: PathArgument = None, home: HomeOption = HOME, json: JsonOption = False) -> None:
    """Show what applying definitions would change, and which models and queues it touches."""
    with open_installation(read_config(home)) as parts:
        planned, _ = plan_definitions(parts, path)
    if json:
        print_json(tell_plan(planned))
    else:
        print_plan(planned)
        if not planned.is_empty:
            named = "" if path is None else f" {path}"
            told = f"make it so with 'headset features apply{named}'"
            out.print(told, markup=False, highlight=False, soft_wrap=True)


@features.command(name="apply", epilog="Example: headset features apply definitions/")
def apply_features(path: PathArgument = None, home: HomeOption = HOME, json: JsonOption = False) -> None:
    """Make definitions live; what is live and not among them is removed, unless a model in use reads it."""
    with open_installation(read_config(home)) as parts:
        planned, commit = plan_definitions(parts, path)
        parts.catalogue.apply(planned, commit=commit)
    if json:
        print_json(tell_plan(planned) | {"commit": commit})
    else:
        print_plan(planned)


def plan_definitions(parts: Installation, path: Path | None) -> tuple[Plan, str]:
    """What applying the definitions in ``path`` would change, and the commit they come from.

    Raises:
        InvalidInput: a definition is wrong.
    """
    from headset.features.plan import plan

    wanted, commit = _definitions(parts, path)
    return plan(parts.catalogue, wanted.pinned(parts.signals().versions), _usages(parts, with_queues=True)), commit


def _definitions(parts: Installation, path: Path | None) -> tuple[Definitions, str]:
    from headset.features.definition_file import collected, load_definitions

    if path is not None:
        return load_definitions(path), current_commit(path if path.is_dir() else path.parent)
    from headset.features.families import risk_service, shipped

    views = shipped(parts.encoder.dim)
    return collected([views, risk_service(views)]), f"headset {__version__}"


def _usages(parts: Installation, *, with_queues: bool = False) -> list[Usage]:
    """The registered models that read features."""
    from headset.features.plan import Usage

    found = [
        Usage(
            model=known.model,
            version=known.version,
            aliases=tuple(known.aliases),
            service=known.made.feature_service,
            features=known.made.features,
        )
        for known in parts.registry.versions()
        if known.made.features or known.made.feature_service
    ]
    if not with_queues or not any(user.aliases for user in found):
        return found
    decided = _decided(parts)
    return [
        msgspec.structs.replace(
            user, queues=tuple(sorted({queue for queue, names in decided if _read_by(user) & names}))
        )
        for user in found
    ]


def _read_by(user: Usage) -> set[str]:
    """How decisions name what ``user`` reads."""
    return {f"service.{user.service}", *user.features}


def _decided(parts: Installation) -> list[tuple[str, set[str]]]:
    """The queues decided for lately, with the names of what those decisions read."""
    parts.record.catch_up()
    since = parts.clock.now() - _QUEUES_DAYS * 86_400 * MICROSECONDS
    rows = parts.record.connection.execute(
        "SELECT DISTINCT queue, feature_versions FROM decision JOIN conversation USING (conversation_id)"
        " WHERE event_time >= ? AND queue IS NOT NULL AND feature_versions IS NOT NULL",
        (since,),
    )
    return [(queue, set(msgspec.json.decode(versions, type=dict[str, str]))) for queue, versions in rows]


def _applied(history: Iterable[Entry]) -> dict[tuple[str, str, str], Entry]:
    """When each version was applied last."""
    return {(entry.what, entry.name, entry.version): entry for entry in history if entry.live}


def _summary(
    view: FeatureView, services: Sequence[FeatureService], users: Sequence[Usage], entry: Entry
) -> dict[str, Any]:
    own = {(f"{view.name}.{name}", version) for name, version in view.versions.items()}
    return {
        "name": view.name,
        "version": view.version,
        "entity": view.entity,
        "event": view.event,
        "owner": view.owner,
        "description": view.description,
        "freshness": view.freshness,
        "features": view.versions,
        "services": [service.name for service in services if own & service.stored.items()],
        "models": [str(user) for user in users if own & user.features.items()],
        "applied": entry.when,
        "commit": entry.commit,
    }


def _service_summary(service: FeatureService, users: Sequence[Usage], entry: Entry) -> dict[str, Any]:
    return {
        "name": service.name,
        "version": service.version,
        "owner": service.owner,
        "description": service.description,
        "features": service.versions,
        "models": [str(user) for user in users if user.service == service.name],
        "applied": entry.when,
        "commit": entry.commit,
    }


def _told(definition: FeatureView | FeatureService) -> dict[str, Any]:
    whole: dict[str, Any] = msgspec.to_builtins(definition)
    return whole | {"version": definition.version, "versions": definition.versions}


def tell_plan(planned: Plan) -> dict[str, Any]:
    """The plan as data."""
    return {"changes": planned.changes, "old": planned.old, "nothing_to_do": planned.is_empty}


def _print_view(view: FeatureView) -> None:
    out.print(f"[bold]{view.name}[/bold] {view.version}  {escape(view.description)}")
    made = f"of each {view.entity}, from {view.event}"
    chosen = "" if view.filter is None else f" where {view.filter}"
    signals = "".join(f", {name} of {version}" for name, version in view.signals.items())
    told = f"  {made}{chosen}{signals}; owner {view.owner or 'nobody'}, fresh within {view.freshness}"
    out.print(told, markup=False, highlight=False)
    table = _table("feature", "version", "gives", "computed as", "default", "description")
    for feature in view.features:
        default = "" if feature.default is None else str(feature.default)
        row = (feature.name, view.versions[feature.name], view.kinds[feature.name], feature.computed, default)
        table.add_row(*(Text(cell) for cell in (*row, feature.description)))
    out.print(table)


def _print_service(service: FeatureService) -> None:
    out.print(f"[bold]{service.name}[/bold] {service.version}  {escape(service.description)}")
    out.print(f"  a service; owner {service.owner or 'nobody'}", markup=False, highlight=False)
    on_demand = {f"on_demand.{each.name}": str(each.expression) for each in service.on_demand}
    kinds = service.kinds
    table = _table("feature", "version", "gives", "computed on demand from")
    for name, version in service.versions.items():
        table.add_row(*(Text(cell) for cell in (name, version, kinds[name], on_demand.get(name, ""))))
    out.print(table)


def _table(*names: str) -> Table:
    """A table in which versions stay whole and long cells are folded."""
    table = Table()
    for name in names:
        table.add_column(name, no_wrap=name == "version", overflow="fold")
    return table


def print_plan(planned: Plan, *, brief: bool = False) -> None:
    """Print the changes like a diff, and whom they touch; ``brief`` leaves out what added definitions consist of."""
    for change in planned.changes:
        if change.action != "unchanged":
            _print_change(change, brief=brief and change.action == "added")
    for old in planned.old:
        readers = ", ".join(old.readers)
        fate = f"stays live for {readers}" if old.readers else "is dropped, nobody reads it"
        told = f"  {old.view} {old.version} {fate}"
        out.print(Text(told, "dim" if old.readers else "red"), soft_wrap=True)
    count = Counter(change.action for change in planned.changes)
    figures = ", ".join(f"{count[action]} {action}" for action in _SIGNS if count[action])
    out.print(f"nothing to do: {figures}" if planned.is_empty else figures)


def _print_change(change: Change, *, brief: bool) -> None:
    versions = " → ".join(version for version in (change.before, change.after) if version)
    if change.action == "described":
        versions = f"{change.after}, the same version"
    head = f"{_SIGNS[change.action]} {change.what} {change.name} {change.action} ({versions})"
    out.print(Text(head, f"bold {_COLOURS[change.action]}"), soft_wrap=True)
    for each in () if brief else change.differences:
        line = Text(f"    {each.field}: ")
        if each.before is not None:
            line.append(each.before, "red")
        if each.before is not None and each.after is not None:
            line.append(" → ")
        if each.after is not None:
            line.append(each.after, "green")
        out.print(line, soft_wrap=True)
    queues = "all queues" if change.queues == ("*",) else ", ".join(change.queues)
    for what, who in (
        ("services", ", ".join(change.services)),
        ("models", ", ".join(change.models)),
        ("queues", queues),
    ):
        if who:
            out.print(Text(f"    touches {what}: {who}", "magenta"), soft_wrap=True)
