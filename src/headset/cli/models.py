"""The commands of the model registry."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.table import Table

from headset.app import open_installation
from headset.cli.terminal import HOME, HomeOption, JsonOption, out, print_json, read_config

models = typer.Typer(help="Look at registered model versions.", no_args_is_help=True)


@models.command(name="list")
def list_models(home: HomeOption = HOME, json: JsonOption = False) -> None:
    """List all versions, newest first."""
    with open_installation(read_config(home)) as parts:
        known = parts.registry.versions()
    if json:
        print_json(known)
        return
    table = Table("model", "version", "aliases", "data", "accuracy", "registered")
    for each in known:
        accuracy = each.made.metrics.get("accuracy")
        shown = "–" if accuracy is None else f"{accuracy:.1%}"
        table.add_row(each.model, each.version, ", ".join(each.aliases), each.made.dataset, shown, each.registered)
    out.print(table if known else "no model is registered; train one with 'headset train intent --data NAME'")


@models.command(name="show")
def show_model(
    version: Annotated[str, typer.Argument(help="Version number or alias.")] = "champion",
    model: Annotated[str, typer.Option("--model", help="Name of the model.")] = "intent",
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Show how a version was made and how good it was."""
    with open_installation(read_config(home)) as parts:
        known = parts.registry.get(model, version)
    if json:
        print_json(known)
        return
    table = Table(show_header=False, title=f"{known.model} version {known.version}")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in (msgspec.to_builtins(known.made) | {"aliases": ", ".join(known.aliases)}).items():
        if name not in {"type", "model", "version", "metrics", "signature"}:
            table.add_row(name, str(value))
    for name, value in known.made.metrics.items():
        table.add_row(name, f"{value:.4g}")
    out.print(table)
