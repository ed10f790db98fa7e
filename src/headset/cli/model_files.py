"""The commands that take model files in and give them out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from headset.app import open_installation
from headset.app.models import export_model, import_model
from headset.cli.models import models
from headset.cli.terminal import HOME, HomeOption, JsonOption, out, print_json, progress_bars, read_config
from headset.core.errors import InvalidInput

__all__ = ["models"]

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_REASON_LIMIT = 500


@models.command(name="import")
def import_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="PATH_OR_URI",
            help="Folder of an MLflow model, models:/NAME/VERSION, runs:/ID/PATH, or a .onnx file.",
        ),
    ],
    *,
    name: Annotated[str, typer.Option("--as", help="The model it becomes a version of.")] = "intent",
    labels: Annotated[
        Path | None, typer.Option("--labels", help="JSON array of the labels, in the order of the model's columns.")
    ] = None,
    data: Annotated[str | None, typer.Option("--data", help="Name of the data set to measure it on first.")] = None,
    precision: Annotated[
        float, typer.Option("--precision", min=0.5, max=0.999, help="Precision to keep when the bot answers.")
    ] = 0.95,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Decides which half of the data sets the threshold.")] = 0,
    trust_pickle: Annotated[
        str, typer.Option("--trust-pickle", metavar="REASON", help="Load the model's pickles, for this reason, kept.")
    ] = "",
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Register a model that was made elsewhere, with a signature: any MLflow pyfunc, or ONNX."""
    if not _NAME.fullmatch(name):
        raise InvalidInput("as", f"is {name[:80]!r}; use lower-case letters, digits, - and _, a letter first")
    if len(trust_pickle) > _REASON_LIMIT:
        raise InvalidInput("trust-pickle", f"has {len(trust_pickle)} characters, a reason may have {_REASON_LIMIT}")
    from headset.training.plugin.model_import import ImportRequest, read_labels

    request = ImportRequest(
        name=name,
        source=source,
        labels=() if labels is None else read_labels(labels),
        dataset=data,
        target_precision=precision,
        seed=seed,
        trust_pickle=trust_pickle.strip(),
    )
    with open_installation(read_config(home)) as parts, progress_bars(quiet=json) as progress:
        report = import_model(parts, request, progress=progress)
    if json:
        print_json(report)
        return
    page = Table(show_header=False, box=None, pad_edge=False)
    page.add_row("model", f"{report.model} version {report.version}")
    page.add_row("from", Text(report.source))
    page.add_row("intents", Text(str(len(report.labels))))
    for measured, value in report.metrics.items():
        page.add_row(measured, f"{value:.4g}")
    if report.trusted_pickle:
        page.add_row("pickles trusted", Text(report.trusted_pickle))
    out.print(page, "", Text(report.verdict), sep="\n")


@models.command(name="export")
def export_command(
    version: Annotated[str, typer.Argument(help="Version number or alias.")],
    path: Annotated[Path, typer.Argument(help="Folder to write, not there yet.")],
    model: Annotated[str, typer.Option("--model", help="Name of the model.")] = "intent",
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Write a version as an MLflow model that mlflow.pyfunc.load_model reads."""
    with open_installation(read_config(home)) as parts:
        known = parts.registry.get(model, version)
        export_model(parts, known, path)
    if json:
        print_json({"model": known.model, "version": known.version, "path": str(path)})
    else:
        out.print(f"version {known.version} of {known.model} is in {path}", highlight=False, soft_wrap=True)
