"""The commands that search for better recipes."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from headset.app import open_installation, training
from headset.cli.terminal import (
    HOME,
    HomeOption,
    JsonOption,
    check_range,
    err,
    out,
    print_json,
    progress_bars,
    read_config,
)
from headset.core.errors import StorageFailed
from headset.supervisor import start_child

tune = typer.Typer(help="Search for a better recipe.", no_args_is_help=True)

_TIMEOUT_S = 31_536_000


@tune.command(name="intent", epilog="Example: headset tune intent --data bank --trials 40 --out recipe.toml")
def tune_intent(  # noqa: PLR0917 - typer passes them by name
    data: Annotated[str, typer.Option("--data", help="Name of the data set to learn from.")],
    test: Annotated[
        str | None, typer.Option("--test", help="Name of the data set to measure the best on, once, at the end.")
    ] = None,
    trials: Annotated[int, typer.Option("--trials", help="Recipes to try in all.")] = 40,
    workers: Annotated[int, typer.Option("--workers", help="Processes that try them.")] = 2,
    metric: Annotated[str, typer.Option("--metric", help="macro_f1, accuracy or log_loss.")] = "macro_f1",
    folds: Annotated[int, typer.Option("--folds", help="Fits per trial.")] = 3,
    rows: Annotated[int, typer.Option("--rows", help="Texts that trials learn from, at most.")] = 20_000,
    batch: Annotated[int, typer.Option("--batch", help="Trials drawn at a time; the most that run at a time.")] = 4,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")] = 0,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the study; 'intent-' and the data if left out.")
    ] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Seconds after which it stops.")] = None,
    space: Annotated[Path | None, typer.Option("--space", help="TOML file that says what may vary.")] = None,
    recipe: Annotated[Path | None, typer.Option("--out", help="Write the best recipe to this file.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a report with pictures to this file.")] = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Search for a recipe that beats the shipped one; run it again to go on where it was interrupted."""
    import msgspec

    from headset.training.search.request import SearchRequest
    from headset.training.search.space import read_space

    if timeout is not None:
        check_range("timeout", timeout, _TIMEOUT_S)
    for path in (recipe, html):
        _check_writable(path)
    request = msgspec.structs.replace(
        SearchRequest(dataset=data, test=test, seed=seed, folds=folds, rows=rows, batch=batch), metric=metric
    )
    given = None if space is None else read_space(space)
    study = name or f"intent-{data}"
    config = read_config(home)
    with open_installation(config) as parts, progress_bars(quiet=json) as progress:
        try:
            found = training.tune(
                parts,
                request,
                given,
                name=study,
                trials=trials,
                workers=workers,
                timeout_s=timeout,
                start=lambda: start_child(config, os.environ, "tune", "join", "--", study),
                progress=progress,
                say=lambda sentence: None if json else err.print(sentence, markup=False, highlight=False),
            )
        except KeyboardInterrupt:
            err.print(f"study {study} is interrupted; the same command goes on with it", markup=False)
            raise
    from headset.training.search.report import comment, recipe_text, render

    if recipe is not None:
        recipe.write_text(recipe_text(found.report.recipe, comment(found.report)), "utf-8")
    if html is not None:
        html.write_text(found.html, "utf-8")
    if json:
        print_json(found.report)
        return
    out.print(render(found.report))


@tune.command(name="join", epilog="Example: headset tune join intent-bank")
def join(
    study: Annotated[str, typer.Argument(help="Name of a study that is running.")],
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Work for a study that another process leads, until it is finished."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with open_installation(read_config(home)) as parts:
        made = training.join_tune(parts, study)
    if json:
        print_json({"study": study, "trials": made})
    elif os.isatty(1):
        out.print(f"{made} trials made; study {study} is finished", markup=False)


def _check_writable(path: Path | None) -> None:
    """Refuse a file that cannot be written before hours are spent on what goes into it."""
    if path is not None and (
        path.is_dir() or not os.access(path if path.exists() else path.absolute().parent, os.W_OK)
    ):
        raise StorageFailed(f"{path} cannot be written; name a file in a folder that is there")
