"""The commands of data preparation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headset.app import open_installation
from headset.cli.terminal import HOME, HomeOption, JsonOption, out, print_json, progress_bars, read_config

data = typer.Typer(help="Check and prepare data sets before a model learns from them.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="Name of the data set, as it was imported.")]
RowsOption = Annotated[
    int, typer.Option("--rows", min=1_000, help="Texts to look at one by one; past it they are sampled.")
]


@data.command(epilog="Example: headset data profile bank --html bank.html")
def profile(
    name: NameArgument,
    html: Annotated[Path | None, typer.Option("--html", help="Also write a page with pictures.")] = None,
    rows: RowsOption = 200_000,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Describe a data set: labels, lengths, languages, channels, vocabulary, duplicates, days."""
    with open_installation(read_config(home)) as parts, progress_bars(quiet=json) as progress:
        from headset.data.dataset import check_dataset

        check_dataset(parts.log, name)
        from headset.data.quality.profile import profile_data
        from headset.data.quality.table import read_table

        table = read_table(
            parts.log, parts.vault, name, limit=rows, progress=lambda done: progress(f"read {name}", done)
        )
    found = profile_data(table)
    if json:
        print_json(found)
        return
    out.print(f"{found.rows} labelled texts in {name}")
