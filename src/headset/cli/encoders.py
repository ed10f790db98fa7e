"""The commands of sentence encoders."""

from __future__ import annotations

import typer
from rich.table import Table

from headset.app import ENCODERS, FINER, open_installation
from headset.cli.terminal import HOME, HomeOption, JsonOption, out, print_json, progress_bars, read_config
from headset.core.errors import ArtifactError

encoders = typer.Typer(help="Look at the sentence encoders models may read; build the finer one.", no_args_is_help=True)


@encoders.command(name="list", epilog="Example: headset encoders list")
def list_encoders(home: HomeOption = HOME, json: JsonOption = False) -> None:
    """List the encoders a recipe may name, with their versions here."""
    with open_installation(read_config(home)) as parts:
        found = [{"name": ENCODERS[0], "version": parts.encoder.version, "numbers": parts.encoder.dim, "problem": None}]
        try:
            finer = parts.finer_encoder
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
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Fetch the weights of the finer encoder, 83 MB, and build it in the home folder."""
    if name != FINER:
        raise typer.BadParameter(f"{name!r} is not built; {FINER!r} is", param_hint="NAME")
    with open_installation(read_config(home)) as parts, progress_bars(quiet=json) as progress:
        version = parts.build_finer_encoder(progress)
    if json:
        print_json({"name": name, "version": version})
    else:
        out.print(f"{version} is built; name it in a recipe: encoder = '{name}'", soft_wrap=True)
