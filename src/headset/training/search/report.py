"""What a search found, as data, for the terminal, and as the recipe file that a training reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec import Struct
from rich.console import Group
from rich.table import Table
from rich.text import Text

from headset.training.recipe import SHIPPED, Recipe
from headset.training.search.objective import Difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from headset.training.search.study import Trial


class SearchReport(Struct, frozen=True, kw_only=True):
    """The outcome of a search.

    Attributes:
        study: Its name.
        state: ``finished``, or ``stopped`` before all trials were made.
        went_on: True when trials had been made before this command.
        dataset: What was learned from.
        rows: Learning rows the trials used.
        tested_on: What the best was measured on at the end.
        metric: What was judged.
        trials: Trials wanted.
        complete: Trials that went through all folds.
        pruned: Trials given up after a fold.
        failed: Trials that no model came out of.
        best: Number of the best trial.
        value: Its mean over the folds.
        shipped: The shipped recipe's; None where its trial is not complete.
        fold_differences: By fold, how much better the best is than the shipped recipe; empty where the shipped
            recipe's trial is not complete.
        difference: Both on rows that no trial saw; None where the shipped recipe is the best, or its trial failed.
        better: True when the best beats the shipped recipe there by more than noise.
        verdict: The same in a sentence, with the next step.
        recipe: Of the best trial.
        importance: Share of the variance that each field explains.
        run_id: Of the study's run in MLflow.
        tracking_uri: Of MLflow.
        storage: Where the study is kept.
        seed: Of everything random.
        duration_s: Wall-clock seconds of this command.
    """

    study: str
    state: str
    went_on: bool
    dataset: str
    rows: int
    tested_on: str
    metric: str
    trials: int
    complete: int
    pruned: int
    failed: int
    best: int
    value: float
    shipped: float | None
    fold_differences: list[float]
    difference: Difference | None
    better: bool
    verdict: str
    recipe: Recipe
    importance: dict[str, float]
    run_id: str
    tracking_uri: str
    storage: str
    seed: int
    duration_s: float


def fold_differences(best: Trial, shipped: Trial, metric: str, *, higher_is_better: bool) -> list[float]:
    """By fold, how much better one trial is than another."""
    sign = 1 if higher_is_better else -1
    pairs = zip(best.folds, shipped.folds, strict=True)
    return [sign * (one[metric] - other[metric]) for one, other in pairs]


def verdict(metric: str, difference: Difference | None, folds: list[float], *, shipped: str = "complete") -> str:
    """Whether the best recipe is worth having, honestly: the best of many looks better on its folds than it is.

    Args:
        metric: What was judged.
        difference: The best beside the shipped recipe.
        folds: Differences by fold; empty where the shipped recipe's trial is not complete.
        shipped: State of the shipped recipe's trial.
    """
    if shipped == "failed":
        return (
            "Trial 0, the shipped recipe, failed, so nothing says whether the best recipe is better; see its problem"
            " below. The best recipe is one that works on this data."
        )
    if difference is None:
        return "The shipped recipe is the best of all that were tried: keep it."
    found = (
        f"{difference.value:.4f} against {difference.other:.4f} of the shipped recipe in {metric} on {difference.rows}"
        f" texts that no trial saw: better by {difference.difference:+.4f}, 95 % interval {difference.low:+.4f} to"
        f" {difference.high:+.4f}"
    )
    wins = sum(each > 0 for each in folds)
    beside = (
        f"better in {wins} of {len(folds)} folds, by {np.mean(folds):+.4f} on average, where it was chosen for that"
        if folds
        else f"folds are not compared, since trial 0, the shipped recipe, is {shipped}"
    )
    if difference.beyond_noise:
        return f"The best recipe beats the shipped one by more than noise: {found}; {beside}. Train with it."
    return (
        f"No recipe beats the shipped one by more than noise: {found}; {beside}."
        " Keep the shipped recipe, or search on more data."
    )


def recipe_text(recipe: Recipe, comment: str) -> str:
    """A recipe file; what is as shipped is left out.

    >>> print(recipe_text(Recipe(words=(1, 3), penalty=0.5), "found by hand"), end="")
    # found by hand
    words = [1, 3]
    penalty = 0.5
    """
    shipped = msgspec.to_builtins(SHIPPED)
    changed = {name: value for name, value in msgspec.to_builtins(recipe).items() if value != shipped[name]}
    lines = [f"# {line}" for line in comment.splitlines()]
    return "\n".join([*lines, *(f"{name} = {json.dumps(value)}" for name, value in changed.items())]) + "\n"


def comment(report: SearchReport) -> str:
    """Where the recipe of a report comes from."""
    return f"trial {report.best} of study {report.study}, {report.metric} {report.value:.4f} over its folds"


def shipped_value(report: SearchReport) -> str:
    """The shipped recipe's value for people."""
    return "not complete" if report.shipped is None else f"{report.shipped:.4f}"


def render(report: SearchReport) -> RenderableType:
    """The report as a person reads it."""
    page = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _rows(report):
        page.add_row(name, Text(value))
    return Group(page, "", Text(report.verdict), "", Text(recipe_text(report.recipe, comment(report)).rstrip()))


def _rows(report: SearchReport) -> Iterator[tuple[str, str]]:
    done = report.complete + report.pruned + report.failed
    before = ", gone on with" if report.went_on else ""
    yield "study", f"{report.study} in {report.storage} ({report.state}{before})"
    yield "learned from", f"{report.rows} texts of {report.dataset!r}; at the end measured on {report.tested_on}"
    counts = f"{report.complete} complete, {report.pruned} pruned, {report.failed} failed"
    yield "trials", f"{done} of {report.trials}: {counts}"
    yield "best", f"trial {report.best}, {report.metric} {report.value:.4f}; shipped {shipped_value(report)}"
    if report.importance:
        ranked = sorted(report.importance.items(), key=lambda each: -each[1])
        yield "what matters", ", ".join(f"{name} {share:.0%}" for name, share in ranked)
    yield "MLflow run", f"{report.run_id} in {report.tracking_uri}"
    yield "took", f"{report.duration_s:.0f} s"
