"""What a synthesis did and found, as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headset.page.document import Fold, Heading, Page, Paragraph, Picture, Table, render
from headset.page.picture import BLUE, GREY, INK, ORANGE, make_figure, png

if TYPE_CHECKING:
    from headset.page.document import Block
    from headset.training.synthesis.job import SynthesisReport
    from headset.training.synthesis.trial import Trial


def verdict(report: SynthesisReport) -> str:
    """What came of it, and the next step, in a sentence or two."""
    name, dataset = report.request.name, report.request.dataset
    if not report.trial.kept:
        return f"Rejected, nothing is kept: {report.trial.reason}."
    if report.request.dry:
        return f"Would be kept: {report.trial.reason}. Nothing was, as this was a dry run."
    return (
        f"Kept as {name}: {report.trial.reason}."
        f" Learn from them with 'headset train intent --data {dataset} --synthetic {name}'."
    )


def write_page(report: SynthesisReport) -> str:
    """The report as HTML."""
    trial, request = report.trial, report.request
    names = sorted({*report.made, *report.refused, *report.strayed})
    counts = [
        (name, report.made.get(name, 0), report.refused.get(name, 0), report.strayed.get(name, 0)) for name in names
    ]
    blocks: list[Block] = [
        Heading("What the trial found", "pass" if trial.kept else "fail"),
        Picture(
            _draw_gain(trial),
            f"Macro-F1 of {len(trial.intents)} rare intents on real texts that no fit had seen: {trial.real:.3f}"
            f" without synthetic rows, {trial.synthetic:.3f} with them, {trial.copies:.3f} with copies instead.",
        ),
        Paragraph(
            f"{trial.rows} real texts were measured {trial.repeats} times, each by models that had learned from"
            f" the {trial.folds - 1} other parts of {trial.folds}, and from rows made from those parts alone. Rows are"
            " kept when the 95 % interval of the gain lies above 0 and the other intents lose no more than one point:"
            f" theirs went from {trial.others_real:.3f} to {trial.others_synthetic:.3f}. What copies gain as well is a"
            " matter of weight, not of new words."
        ),
        Picture(_draw_intents(trial), "F1 of each rare intent without synthetic rows, with them, and with copies."),
        Fold(
            "The same as a table",
            [
                Table(
                    ("intent", "real texts", "F1 without", "with", "with copies"),
                    [(one.intent, one.texts, one.real, one.synthetic, one.copies) for one in trial.intents],
                )
            ],
        ),
        Heading("What was made"),
        Table(
            ("generator", "made", "near-copies refused", "nearer to another intent"),
            counts,
            f"{report.repeated} more had been made before.",
        ),
        *([Paragraph(_scarcity(report))] if report.short or report.left_out else []),
        Fold(
            "Some of the rows",
            [
                Table(
                    ("intent", "generator", "text"),
                    [(one.intent, one.generator, one.text) for one in report.samples],
                )
            ],
        ),
    ]
    facts = [
        ("data", request.dataset),
        ("rows", f"{sum(report.made.values())}, {f'kept as {request.name}' if report.kept else 'not kept'}"),
        ("rare", f"fewer than {request.rare} different texts: {len(trial.intents)} intents"),
        ("generators", ", ".join(report.made) or "none"),
        ("seed", str(request.seed)),
    ]
    return render(
        Page(
            f"Synthetic texts for {request.dataset}",
            "pass" if trial.kept else "fail",
            verdict(report),
            facts,
            blocks,
        )
    )


def _scarcity(report: SynthesisReport) -> str:
    short = "".join(f" Only {count} came for {intent}." for intent, count in report.short.items())
    left_out = "".join(f" {intent} has {count} texts, too few." for intent, count in report.left_out.items())
    return f"{short}{left_out}".strip()


def _draw_gain(trial: Trial) -> bytes:
    figure, axes = make_figure(height=1.9)
    points = [100 * value for value in (trial.gain, trial.low, trial.high)]
    axes.errorbar(
        points[0],
        1,
        xerr=[[points[0] - points[1]], [points[2] - points[0]]],
        fmt="o",
        color=BLUE,
        capsize=4,
        markersize=6,
    )
    axes.plot(100 * (trial.copies - trial.real), 0, "D", color=ORANGE, markersize=6)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks([0, 1], ["copies", "synthetic"])
    axes.set_ylim(-0.6, 1.6)
    axes.set_xlabel("gain in macro-F1 of rare intents, points", fontsize=8, color=INK)
    return png(figure)


def _draw_intents(trial: Trial) -> bytes:
    ordered = sorted(trial.intents, key=lambda one: one.real)
    figure, axes = make_figure(height=0.9 + 0.24 * len(ordered))
    places = np.arange(len(ordered))
    axes.hlines(places, [one.real for one in ordered], [one.synthetic for one in ordered], color=GREY, linewidth=1)
    for values, colour, mark, name in (
        ([one.real for one in ordered], GREY, "o", "without"),
        ([one.copies for one in ordered], ORANGE, "D", "with copies"),
        ([one.synthetic for one in ordered], BLUE, "o", "with synthetic rows"),
    ):
        axes.plot(values, places, mark, color=colour, markersize=5, label=name)
    axes.set_yticks(places, [one.intent for one in ordered], parse_math=False)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("F1", fontsize=8, color=INK)
    axes.legend(fontsize=7, loc="lower right", frameon=False)
    return png(figure)
