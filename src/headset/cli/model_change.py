"""The commands that change which model version serves: promote, roll back, waive; and the audit of all of it."""

from __future__ import annotations

from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from headset.app import open_installation
from headset.cli.models import ModelOption, VersionArgument, models
from headset.cli.terminal import HOME, HomeOption, JsonOption, out, print_json, read_config
from headset.cli.twin import KEY_VARIABLE
from headset.events.schema import Actor, AttemptRefused
from headset.registry.evidence import model_option

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from headset.app import Installation
    from headset.registry.journal import Action
    from headset.registry.store import ModelVersion
    from headset.registry.waiver import WaiverReport
    from headset.serving.keys import Scope

KeyOption = Annotated[
    str,
    typer.Option(
        "--key",
        envvar=KEY_VARIABLE,
        help="API key that shows who you are; needed once people have keys.",
        show_default=False,
    ),
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept on record.")]
WaiverArgument = Annotated[str, typer.Argument(help="Its id, see 'headset models show VERSION'.")]


class Alias(StrEnum):
    """What may point at a version."""

    CHAMPION = "champion"
    CANDIDATE = "candidate"
    SHADOW = "shadow"


@models.command(name="promote", epilog="Example: headset models promote 3 --reason 'better on refunds'")
def promote_model(
    version: VersionArgument,
    reason: ReasonOption,
    alias: Annotated[Alias, typer.Option("--as", help="Which alias.")] = Alias.CHAMPION,
    model: ModelOption = "intent",
    key: KeyOption = "",
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Point an alias at a version; champion only where the evidence on record allows it."""
    with _acting(home, key, "promote", model, version, alias) as (parts, by):
        known = parts.registry.promote(model, version, alias, by=by, reason=reason)
    _print_change(known, alias, json=json)


@models.command(name="rollback", epilog="Example: headset models rollback --reason 'wrong about parcels since noon'")
def roll_back_model(
    reason: ReasonOption,
    to: Annotated[str | None, typer.Option("--to", help="Version; the champion before when left out.")] = None,
    model: ModelOption = "intent",
    key: KeyOption = "",
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Make an earlier champion serve again, at once and without new evidence."""
    with _acting(home, key, "rollback", model, to or "", Alias.CHAMPION) as (parts, by):
        known = parts.registry.rollback(model, to, by=by, reason=reason)
    _print_change(known, Alias.CHAMPION, json=json)


@models.command(name="waive", epilog="Example: headset models waive 3 --gate fairness --reason 'too few texts yet'")
def waive_gate(
    version: VersionArgument,
    gate: Annotated[str, typer.Option("--gate", help="The gate that the version may go without.")],
    reason: ReasonOption,
    days: Annotated[float, typer.Option("--days", help="For how long, at most 30.")] = 7.0,
    model: ModelOption = "intent",
    key: KeyOption = "",
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Ask for a waiver; it counts once a second person has approved it."""
    with _acting(home, key, "waive", model, version, gate) as (parts, by):
        asked = parts.registry.waivers.request(model, version, gate, days=days, by=by, reason=reason)
    _print_waiver(asked, json=json)
    if not json:
        step = f"headset models approve {asked.waiver_id}{model_option(model)}"
        out.print(f"a second person approves it with '{step}'", markup=False, soft_wrap=True)


@models.command(name="approve", epilog="Example: headset models approve WAIVER --key KEY")
def approve_waiver(
    waiver: WaiverArgument,
    model: ModelOption = "intent",
    key: KeyOption = "",
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Grant a waiver as the second person, with a key that may 'approve'."""
    with _acting(home, key, "approve", model, "", waiver, scope="approve") as (parts, by):
        granted = parts.registry.waivers.approve(model, waiver, by=by)
    _print_waiver(granted, json=json)


@models.command(name="withdraw", epilog="Example: headset models withdraw WAIVER --reason 'measured by now'")
def withdraw_waiver(
    waiver: WaiverArgument,
    reason: ReasonOption,
    model: ModelOption = "intent",
    key: KeyOption = "",
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """End a waiver; a promotion that it allowed stays."""
    with _acting(home, key, "withdraw", model, "", waiver, scope="approve") as (parts, by):
        ended = parts.registry.waivers.withdraw(model, waiver, by=by, reason=reason)
    _print_waiver(ended, json=json)


def audit(
    model: Annotated[str | None, typer.Option("--model", help="Of one model; of all when left out.")] = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """List promotions, rollbacks, validations, waivers, all that was refused, and events without a good seal."""
    with open_installation(read_config(home)) as parts:
        entries = parts.registry.audit(model)
    if json:
        print_json(entries)
        return
    table = Table("when", "what", "outcome", "who", "why")
    for each in entries:
        what = " ".join(filter(None, (each.what, each.model, each.version, each.detail)))
        who = f"{each.person} ({each.path})"
        colour = "red" if each.outcome == "refused" else "green"
        why = each.why if not each.reason else f"{each.why} [asked for: {each.reason}]" if each.why else each.reason
        table.add_row(each.when[:19], Text(what), Text(each.outcome, colour), Text(who), Text(why))
    out.print(table if entries else "nothing was done to a model yet")


@contextmanager
def _acting(
    home: Path, key: str, action: Action, model: str, version: str, detail: str, *, scope: Scope = "admin"
) -> Iterator[tuple[Installation, Actor]]:
    """The installation, and who acts in it."""
    attempt = AttemptRefused(
        action=action, model=model, version=version, by=Actor(person="", path="cli"), why="", detail=detail
    )
    with open_installation(read_config(home)) as parts:
        yield parts, parts.people.at_home(key, scope, attempt)


def _print_change(known: ModelVersion, alias: str, *, json: bool) -> None:
    if json:
        print_json(known)
        return
    serves = "; a running server takes it into use within two seconds" if alias == "champion" else ""
    out.print(
        f"{known.model} version {known.version} is {alias}{serves}", markup=False, highlight=False, soft_wrap=True
    )


def _print_waiver(waiver: WaiverReport, *, json: bool) -> None:
    if json:
        print_json(waiver)
        return
    told = f"waiver {waiver.waiver_id} of gate {waiver.gate} for version {waiver.version}: {waiver.state}"
    out.print(f"{told}, until {waiver.expires}", markup=False, highlight=False, soft_wrap=True)
