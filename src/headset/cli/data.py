"""The commands of data preparation: what is in a data set, and whether it can be trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headset.app import open_installation
from headset.app.models import text_model
from headset.cli.terminal import HOME, HomeOption, JsonOption, err, out, print_json, progress_bars, read_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from headset.app import Installation
    from headset.data.quality.table import LabelledTable
    from headset.page.document import Page

data = typer.Typer(help="Check and prepare data sets before a model learns from them.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="Name of the data set, as it was imported.")]
HtmlOption = Annotated[Path | None, typer.Option("--html", help="Also write a page with pictures.")]
RowsOption = Annotated[
    int, typer.Option("--rows", min=1_000, help="Texts to look at one by one; past it they are sampled.")
]
_ROWS = 200_000


@data.command(epilog="Example: headset data check bank --test bank-test --html bank.html")
def check(
    name: NameArgument,
    test: Annotated[str | None, typer.Option("--test", help="Data set that a model will be measured on.")] = None,
    reference: Annotated[str | None, typer.Option("--reference", help="Data set that was accepted before.")] = None,
    limits: Annotated[Path | None, typer.Option("--limits", help="TOML file of limits and owners.")] = None,
    html: HtmlOption = None,
    rows: RowsOption = _ROWS,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Check whether a data set can be trained on; exit with 1 where a check fails."""
    with open_installation(read_config(home)) as parts, progress_bars(quiet=json) as progress:
        _check_names(parts, name, test, reference)
        _check_target(html)
        from headset.data.quality.check import Beside, check_data
        from headset.data.quality.limit import SHIPPED, read_limits
        from headset.data.quality.report import checks_page, render_checks

        agreed = SHIPPED if limits is None else read_limits(limits)
        table = _read(parts, name, rows, progress)
        beside = Beside(
            test=None if test is None else _read(parts, test, rows, progress),
            reference=None if reference is None else _read(parts, reference, rows, progress),
            champion=None if reference is not None else _champion_labels(parts),
        )
        report = check_data(
            table,
            encoder=parts.encoder,
            now=parts.clock.now(),
            beside=beside,
            limits=agreed,
            progress=lambda done: progress("check", done),
        )
        if html is not None:
            _write(checks_page(report, table, beside.test), html)
    if json:
        print_json(report)
    else:
        out.print(render_checks(report))
    if report.mark == "fail":
        raise typer.Exit(1)


@data.command(epilog="Example: headset data profile bank --html bank.html")
def profile(
    name: NameArgument,
    html: HtmlOption = None,
    rows: RowsOption = _ROWS,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Describe a data set: labels, lengths, languages, channels, vocabulary, duplicates, days."""
    with open_installation(read_config(home)) as parts, progress_bars(quiet=json) as progress:
        _check_names(parts, name)
        _check_target(html)
        from headset.data.quality.profile import profile_data
        from headset.data.quality.report import profile_page, render_profile

        table = _read(parts, name, rows, progress)
        found = profile_data(table)
        if html is not None:
            _write(profile_page(found, table), html)
    if json:
        print_json(found)
    else:
        out.print(render_profile(found))


def _check_names(parts: Installation, *names: str | None) -> None:
    """Refuse names of no data set before the libraries are loaded, which takes seconds."""
    from headset.data.dataset import check_dataset

    for name in filter(None, names):
        check_dataset(parts.log, name)


def _check_target(path: Path | None) -> None:
    from headset.core.errors import InvalidInput

    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise InvalidInput("html", f"{path} cannot be written: it is a folder, or its folder is not there")


def _read(parts: Installation, name: str, rows: int, progress: Callable[[str, float], None]) -> LabelledTable:
    from headset.data.quality.table import read_table

    return read_table(parts.log, parts.vault, name, limit=rows, progress=lambda done: progress(f"read {name}", done))


def _champion_labels(parts: Installation) -> tuple[str, ...] | None:
    """The labels of the serving intent model, if one serves."""
    champion = parts.registry.champion(parts.config.decision.model)
    return None if champion is None else text_model(parts, champion).labels


def _write(page: Page, path: Path) -> None:
    from headset.page.document import render

    path.write_text(render(page), "utf-8")
    err.print(f"page written to {path}", highlight=False, soft_wrap=True)
