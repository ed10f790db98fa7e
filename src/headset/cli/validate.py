"""The command that validates a model version."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from headset.app import open_installation, validation
from headset.cli.terminal import HOME, HomeOption, JsonOption, out, print_json, progress_bars, read_config
from headset.core.errors import StorageFailed
from headset.registry.evidence import model_option

if TYPE_CHECKING:
    from headset.validation.run import ValidationReport

_COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}
_OWN_TESTS = Path("tests") / "behaviour"


def validate(  # noqa: PLR0917 - typer hands all of them over by name
    version: Annotated[str, typer.Argument(help="Version number or alias.")],
    model: Annotated[str, typer.Option("--model", help="Name of the model.")] = "intent",
    data: Annotated[
        str | None,
        typer.Option("--data", help="Data set to measure on; the one it was tested on when left out."),
    ] = None,
    suite: Annotated[
        list[Path] | None,
        typer.Option("--suite", help="YAML file or folder of behavioural tests; tests/behaviour when there is one."),
    ] = None,
    out_of_scope: Annotated[
        str | None, typer.Option("--out-of-scope", help="Data set of texts that no intent fits.")
    ] = None,
    scenario: Annotated[
        str, typer.Option("--scenario", help="Of the business figures: a name or a file.")
    ] = "quiet_week",
    margin: Annotated[
        float | None, typer.Option("--margin", help="Accuracy it may lose to the champion, as a share, to try.")
    ] = None,
    limits: Annotated[
        Path | None, typer.Option("--limits", help="TOML file of limits to try; those of headset.toml count.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")] = 7,
    html: Annotated[Path | None, typer.Option("--html", help="Copy the report to this file.")] = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Judge a version by all gates, and keep the evidence: exit code 0 only when all pass."""
    from headset.validation.limits import change_limits, read_limits
    from headset.validation.run import ValidationRequest

    with open_installation(read_config(home)) as parts, progress_bars(quiet=json) as progress:
        held = parts.limits if limits is None else read_limits(limits, parts.limits)
        if margin is not None:
            held = change_limits(held, {"margin": margin}, "--margin")
        counts = held == parts.limits
        request = ValidationRequest(
            version=version,
            model=model,
            data=data,
            suite=tuple(suite or ([_OWN_TESTS] if _OWN_TESTS.is_dir() else [])),
            out_of_scope=out_of_scope,
            scenario=scenario,
            limits=held,
            seed=seed,
        )
        found = validation.validate(parts, request, progress=progress)
    if html is not None:
        _copy(Path(found.report), html)
    if json:
        print_json(found)
    else:
        _print(found, counts=counts)
    if found.result != "pass":
        raise typer.Exit(1)


def _copy(report: Path, target: Path) -> None:
    try:
        shutil.copyfile(report, target)
    except OSError as error:
        problem = f"{target} cannot be written ({error.strerror}); the report is in {report}"
        raise StorageFailed(problem) from error


def _print(found: ValidationReport, *, counts: bool) -> None:
    beside = f"beside champion {found.champion}" if found.champion else "no other champion"
    excluded = f", {found.excluded:,} learned from left out" if found.excluded else ""
    title = f"{found.model} version {found.version}, {beside}, on {found.rows:,} texts of {found.data}{excluded}"
    table = Table("gate", "result", "why", title=title, title_justify="left")
    for gate in found.gates:
        table.add_row(gate.gate, Text(gate.result, _COLOURS[gate.result]), Text(gate.reason))
    out.print(table)
    out.print(Text(_next_step(found, counts=counts), f"bold {_COLOURS[found.result]}"), soft_wrap=True)
    out.print(f"report: {found.report}", markup=False, highlight=False, soft_wrap=True)


def _next_step(found: ValidationReport, *, counts: bool) -> str:
    failed = [gate.gate for gate in found.gates if gate.result == "fail"]
    unsure = [gate.gate for gate in found.gates if gate.result == "inconclusive"]
    if failed:
        return f"failed: {', '.join(failed)}. Follow the reasons above, train again and validate that version."
    if unsure:
        return f"inconclusive: {', '.join(unsure)}. Give the evidence that is named above and validate again."
    if not counts:
        return "all gates pass, held to other limits than [gates.limits] of headset.toml: it counts for no promotion"
    which = f"{found.version}{model_option(found.model)}"
    return f"all gates pass; promote it with 'headset models promote {which} --reason WHY'"
