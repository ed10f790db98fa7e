"""A search as a page to read and keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.page.document import Fold, Heading, Page, Paragraph, Picture, Table
from headset.training.search.picture import draw_history, draw_importance, draw_parallel, draw_slices
from headset.training.search.report import comment, recipe_text, shipped_value
from headset.training.search.run import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from headset.page.document import Block
    from headset.training.search.report import SearchReport
    from headset.training.search.study import Trial

_DIRECTION = {"log_loss": "lower is better"}


def draw_all(report: SearchReport, trials: Sequence[Trial]) -> dict[str, Picture]:
    """The pictures of a search by name of file; those that would show nothing are left out."""
    done, higher = [trial for trial in trials if trial.finished], report.metric != "log_loss"
    history = draw_history(done, report.metric, higher_is_better=higher)
    found = {"history.png": Picture(history, f"Every trial in its order: {report.metric}, and the best so far.")}
    drawn = [trial for trial in done if trial.drawn and trial.value is not None]
    if drawn:
        found["slices.png"] = Picture(
            draw_slices(drawn, report.metric),
            f"Each field against {report.metric}; pruned trials with the folds they had.",
        )
    complete = [trial for trial in drawn if trial.state == "complete"]
    if len(complete) > 1:
        found["parallel.png"] = Picture(
            draw_parallel(complete, report.metric, higher_is_better=higher),
            "Complete trials as lines through their values; the darker, the better; the best in green.",
        )
    if report.importance:
        found["importance.png"] = Picture(
            draw_importance(report.importance), "Which field decides how good a recipe is."
        )
    return found


def make_page(report: SearchReport, trials: Sequence[Trial], pictures: dict[str, Picture]) -> Page:
    """The page of a report."""
    facts = [
        ("data", f"{report.dataset}, {report.rows:,} texts in {max(len(trial.folds) for trial in trials)} folds"),
        ("measured at the end on", report.tested_on),
        ("metric", f"{report.metric}, {_DIRECTION.get(report.metric, 'higher is better')}"),
        ("trials", f"{report.complete} complete, {report.pruned} pruned, {report.failed} failed, of {report.trials}"),
        ("best", f"trial {report.best}: {report.value:.4f}; shipped recipe: {shipped_value(report)}"),
        ("study", f"{report.study} ({report.state}), seed {report.seed}, in {report.storage}"),
        ("MLflow run", f"{report.run_id} in {report.tracking_uri}"),
    ]
    return Page(
        f"Search {report.study}",
        "pass" if report.better else "inconclusive",
        report.verdict,
        facts,
        list(_blocks(report, trials, pictures)),
    )


def _blocks(report: SearchReport, trials: Sequence[Trial], pictures: dict[str, Picture]) -> Iterator[Block]:
    yield Heading("The recipe")
    yield Paragraph("Save the lines below as a file, and train with: headset train intent --recipe FILE")
    yield Table(("recipe.toml",), [(line,) for line in recipe_text(report.recipe, comment(report)).splitlines()])
    titles = {
        "history.png": "How it went",
        "slices.png": "What each field does",
        "parallel.png": "Fields together",
        "importance.png": "Which fields matter",
    }
    for name, picture in pictures.items():
        yield Heading(titles[name])
        yield picture
    yield Heading("Trials")
    rows = [
        (trial.number, trial.state, trial.value, len(trial.folds), shown(trial), trial.problem, trial.duration_s)
        for trial in trials
    ]
    header = ("trial", "state", report.metric, "folds", "recipe", "problem", "seconds")
    yield Fold(f"All {len(rows)} trials", [Table(header, rows)])
