"""The commands that train models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headset.app import open_installation, training
from headset.cli.terminal import HOME, HomeOption, JsonOption, out, print_json, progress_bars, read_config

train = typer.Typer(help="Train models from data in the log.", no_args_is_help=True)


@train.command(name="intent")
def train_intent(
    *,
    data: Annotated[str, typer.Option("--data", help="Name of the data set to learn from.")],
    test: Annotated[str | None, typer.Option("--test", help="Name of the data set to measure on.")] = None,
    synthetic: Annotated[
        str | None,
        typer.Option("--synthetic", help="Synthetic texts to learn from too; see 'headset data synthesize'."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")] = 0,
    precision: Annotated[
        float, typer.Option("--precision", min=0.5, max=0.999, help="Precision to keep when the bot answers.")
    ] = 0.95,
    name: Annotated[
        str, typer.Option("--as", help="Model it becomes a version of; 'queue_models' gives one to a queue.")
    ] = "intent",
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="TOML file that says how it is made; 'headset tune' writes one.")
    ] = None,
    learner: Annotated[
        str | None,
        typer.Option("--learner", help="MODULE:FACTORY of your own estimator, in place of the built-in model."),
    ] = None,
    code: Annotated[
        Path, typer.Option("--code", help="Folder that the learner's module is found in.", file_okay=False, exists=True)
    ] = Path(),
    limit: Annotated[
        float, typer.Option("--limit", min=0.01, max=1_440, help="Minutes that one fit of the learner may take.")
    ] = 60.0,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Train, track and register the intent model; the first that beats its baseline becomes champion."""
    from headset.training.recipe import SHIPPED, IntentRequest, read_recipe, with_learner

    how = SHIPPED if recipe is None else read_recipe(recipe)
    request = IntentRequest(
        name=name,
        dataset=data,
        test=test,
        synthetic=synthetic,
        seed=seed,
        target_precision=precision,
        recipe=how if learner is None else with_learner(how, learner),
    )
    with open_installation(read_config(home)) as parts, progress_bars(quiet=json) as progress:
        report = training.train_intent(parts, request, progress=progress, code=code.absolute(), limit_s=limit * 60)
    if json:
        print_json(report)
        return
    from headset.training.report import render

    out.print(render(report))


@train.command(name="risk")
def train_risk(
    data: Annotated[
        str | None, typer.Option("--data", help="Data set to learn from; all of the log if left out.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")] = 0,
    handoffs: Annotated[
        float, typer.Option("--handoffs", min=0.001, max=0.9, help="Share of conversations it may hand to a person.")
    ] = 0.1,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Train, track and register the risk model: will a conversation end unresolved or dissatisfied?"""
    from headset.training.recipe import RiskRequest

    request = RiskRequest(dataset=data, seed=seed, handoffs=handoffs)
    with open_installation(read_config(home)) as parts, progress_bars(quiet=json) as progress:
        report = training.train_risk(parts, request, progress=progress)
    if json:
        print_json(report)
        return
    from headset.training.risk.report import render

    out.print(render(report))


@train.command(name="again", epilog="Example: headset train again 3")
def train_again(
    version: Annotated[str, typer.Argument(help="Version number or alias.")] = "champion",
    model: Annotated[str, typer.Option("--model", help="Name of the model.")] = "intent",
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Make a version's files again from its record, register nothing, and say whether they are the same."""
    with open_installation(read_config(home)) as parts, progress_bars(quiet=json) as progress:
        known = parts.registry.get(model, version)
        made = training.repeat(parts, known, progress=progress)
    same = made == known.made.artifact_sha256
    if json:
        print_json({"version": known.version, "registered": known.made.artifact_sha256, "made": made, "same": same})
    else:
        what = f"{model} version {known.version}"
        if same:
            out.print(f"{what} was made again: the same files, SHA-256 {made}", soft_wrap=True)
        else:
            out.print(
                f"{what} came out otherwise: SHA-256 {made}, registered was {known.made.artifact_sha256}; it was made"
                f" by the code at commit {known.made.commit}, and texts erased since are missing",
                soft_wrap=True,
            )
    if not same:
        raise typer.Exit(1)
