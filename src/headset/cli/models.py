"""The commands of the model registry."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from headset.app import open_installation
from headset.cli.terminal import HOME, HomeOption, JsonOption, out, print_json, print_text, read_config
from headset.core.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from headset.registry.card import ModelCard
    from headset.registry.comparison import Comparison, Figure
    from headset.registry.store import ModelVersion
    from headset.registry.waiver import WaiverReport

models = typer.Typer(help="Look at registered model versions, and decide which serves.", no_args_is_help=True)

VersionArgument = Annotated[str, typer.Argument(help="Version number or alias.")]
ModelOption = Annotated[str, typer.Option("--model", help="Name of the model.")]

_COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}
_NOT_SHOWN = {"type", "model", "version", "metrics", "signature"}


@models.command(name="list", epilog="Example: headset models list")
def list_models(home: HomeOption = HOME, json: JsonOption = False) -> None:
    """List all versions, newest first, and how their gates stand."""
    with open_installation(read_config(home)) as parts:
        known = parts.registry.versions()
    if json:
        print_json(known)
        return
    table = Table("model", "version", "aliases", "data", "accuracy", "gates", "registered")
    for each in known:
        accuracy = each.made.metrics.get("accuracy")
        shown = "–" if accuracy is None else f"{accuracy:.1%}"
        row = (each.model, each.version, ", ".join(each.aliases), each.made.dataset, shown)
        table.add_row(*map(Text, row), _standing(each), each.registered[:16])
    out.print(table if known else "no model is registered; train one with 'headset train intent --data NAME'")


@models.command(name="show", epilog="Example: headset models show champion")
def show_model(
    version: VersionArgument = "champion",
    model: ModelOption = "intent",
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Show how a version was made, how good it was, what gates found, and what keeps it from being champion."""
    with open_installation(read_config(home)) as parts:
        known = parts.registry.get(model, version)
        gates = parts.registry.case(model, known.version).validation
        waivers = parts.registry.waivers.of(model, known.version)
    judged = () if gates is None else gates.gates
    if json:
        print_json(msgspec.to_builtins(known) | {"gates": judged, "waivers": waivers})
        return
    facts = msgspec.to_builtins(known.made) | {"aliases": ", ".join(known.aliases)}
    _print_facts(
        f"{known.model} version {known.version}",
        [(name, str(value)) for name, value in facts.items() if name not in _NOT_SHOWN],
    )
    _print_facts("metrics", [(name, f"{value:.4g}") for name, value in known.made.metrics.items()])
    if judged:
        table = Table("gate", "result", "why", title="gates", title_justify="left")
        for gate in judged:
            table.add_row(gate.gate, Text(gate.result, _COLOURS[gate.result]), Text(gate.reason))
        out.print(table)
    if waivers:
        _print_waivers(waivers)
    if "champion" not in known.aliases:
        out.print("what keeps it from being champion:" if known.obstacles else "it may become champion")
        for obstacle in known.obstacles:
            out.print(f"  {obstacle}", markup=False, highlight=False, soft_wrap=True)


@models.command(name="compare", epilog="Example: headset models compare champion 3")
def compare_models(
    first: Annotated[str, typer.Argument(help="Version number or alias.")],
    second: Annotated[str, typer.Argument(help="The version beside it.")],
    model: ModelOption = "intent",
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Show two versions side by side; differences are the second minus the first."""
    from headset.registry.comparison import compare

    with open_installation(read_config(home)) as parts:
        compared = compare(parts.registry.card_now(model, first), parts.registry.card_now(model, second))
    if json:
        print_json(compared)
        return
    _print_comparison(compared)


@models.command(name="card", epilog="Example: headset models card champion --html card.html")
def show_card(
    version: VersionArgument = "champion",
    html: Annotated[Path | None, typer.Option("--html", help="File to write the card to, as a page.")] = None,
    model: ModelOption = "intent",
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Show the model card, as it was frozen when the version became champion."""
    from headset.page.document import render
    from headset.registry.card import card_page, card_sha256, encode_card

    with open_installation(read_config(home)) as parts:
        card = parts.registry.card(model, version)
    if html is not None:
        try:
            html.write_text(render(card_page(card)), "utf-8")
        except OSError as error:
            raise InvalidInput("html", f"{html} cannot be written ({error.strerror}); name another file") from None
    if json:
        print_text(encode_card(card) + "\n")
    elif html is not None:
        out.print(f"{html}: card {card_sha256(card)}", markup=False, highlight=False, soft_wrap=True)
    else:
        _print_card(card, card_sha256(card))


def _standing(known: ModelVersion) -> Text:
    if not known.results:
        return Text("not validated", "dim")
    counts = Counter(known.results.values())
    words = {"pass": "passed", "fail": "failed", "inconclusive": "open"}
    told = [f"{count} {words[result]}" for result, count in counts.most_common()]
    ready = not known.obstacles
    if ready:
        told.append("may become champion")
    return Text(", ".join(told), "green" if ready or set(counts) == {"pass"} else "red")


def _print_facts(title: str, rows: Iterable[tuple[str, str]]) -> None:
    table = Table(show_header=False, title=title, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(value))
    if table.row_count:
        out.print(table)


def _print_waivers(waivers: Sequence[WaiverReport]) -> None:
    table = Table("waiver", "gate", "state", "asked by", "granted by", "until", title="waivers", title_justify="left")
    for each in waivers:
        row = (each.waiver_id, each.gate, each.state, each.asked_by, each.granted_by or "–", each.expires)
        table.add_row(*map(Text, row))
    out.print(table)


def _print_comparison(compared: Comparison) -> None:
    first, second = f"version {compared.first}", f"version {compared.second}"
    gates = Table("gate", first, second, title=f"{compared.model}: gates", title_justify="left")
    for gate in compared.gates:
        gates.add_row(
            gate.gate, *(Text(result or "–", _COLOURS.get(result or "", "")) for result in (gate.first, gate.second))
        )
    if compared.gates:
        out.print(gates)
    for title, figures in (("metrics", compared.metrics), ("by segment", compared.segments)):
        if figures:
            table = Table("", first, second, "difference", title=title, title_justify="left")
            for figure in figures:
                table.add_row(figure.name, *_numbers(figure))
            out.print(table)


def _numbers(figure: Figure) -> list[str]:
    shown = ["–" if value is None else f"{value:.4g}" for value in (figure.first, figure.second)]
    return [*shown, "–" if figure.difference is None else f"{figure.difference:+.4g}"]


def _print_card(card: ModelCard, sha256: str) -> None:
    by = card.approved_by
    champion = f"champion since {card.when}" if card.when else "a draft: it was never champion, nothing is frozen"
    _print_facts(
        f"model card: {card.model} version {card.version}",
        [
            ("state", champion),
            ("intended use", card.intended_use),
            *(("not for", use) for use in card.out_of_scope_use),
            *(("limit", limit) for limit in card.limits),
            ("evidence", card.evidence),
            ("approved by", f"{by.person} ({by.path})"),
            ("reason", card.reason),
            ("replaces", card.replaces or "nothing"),
            ("SHA-256", sha256),
        ],
    )
    sections: tuple[tuple[str, dict[str, Any]], ...] = (
        ("data", card.data),
        ("how it was made", card.made),
        ("features", card.features),
        ("gates", {gate.gate: f"{gate.result}: {gate.reason}" for gate in card.gates}),
        ("waivers", {each.gate: f"{each.asked_by} and {each.granted_by}: {each.reason}" for each in card.waivers}),
        ("metrics by segment", {name: f"{value:.4g}" for name, value in card.segments.items()}),
        ("metrics", {name: f"{value:.4g}" for name, value in card.metrics.items()}),
    )
    for title, facts in sections:
        _print_facts(title, facts.items())
