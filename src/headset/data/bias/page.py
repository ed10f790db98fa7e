"""The bias report as a page: a picture of the gaps by measure, and all figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.data.bias.report import CALIBRATION, HANDOFF, NOT_KNOWN, RECALL
from headset.page.document import Fold, Heading, Page, Paragraph, Picture, Table
from headset.page.picture import BLUE, GREEN, GREY, INK, RED, make_figure, png

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headset.data.bias.report import BiasReport, Finding
    from headset.events.schema import GateResult
    from headset.page.document import Block

_COLOURS = {"pass": GREEN, "fail": RED, "inconclusive": BLUE}
_MARKERS = {"pass": "o", "fail": "X", "inconclusive": "D"}  # told apart without colour
_MEANINGS = {
    RECALL: "Recall: share of texts whose intent was found. The gap is how much lower it is in the group.",
    HANDOFF: "False handoff: share of the rightly read texts that went to a person because confidence was below the"
    " threshold. The gap is how much higher it is in the group.",
    CALIBRATION: "Calibration: mean confidence less share of texts read rightly. The gap is how much more the model"
    " promises the group than it keeps, compared with the others.",
}
MEASURES = tuple(_MEANINGS)
_SHOWN = 60


def verdict(report: BiasReport) -> str:
    """The answer in a sentence or two.

    >>> from headset.data.bias.report import BiasReport
    >>> verdict(BiasReport(result="inconclusive", margin=0.05, level=0.05, n=9, tests=0, findings=[], figures=[],
    ...     left_out={"tenure": "it is known of no row"}))
    'Nothing could be compared: say language, channel or attributes of conversations.'
    """
    if not report.findings:
        unknown = set(report.left_out.values()) <= {NOT_KNOWN}
        return (
            f"Nothing could be compared{': say language, channel or attributes of conversations' if unknown else ''}."
        )
    failed, open_ = report.of("fail"), report.of("inconclusive")
    parts = []
    if failed:
        named = "; ".join(f"{one.dimension} {one.group} ({one.measure}, {points(one.gap)})" for one in failed)
        parts.append(f"Served worse by {points(report.margin)} or more, and not by chance: {named}.")
    else:
        parts.append(f"No group was found to be served worse by {points(report.margin)} or more.")
    if open_:
        parts.append(f"{len(open_)} of {len(report.findings)} comparisons have too few rows to say.")
    return " ".join(parts)


def points(gap: float | None) -> str:
    """A gap in percentage points.

    >>> points(0.083)
    '8.3 points'
    """
    return "–" if gap is None else f"{gap * 100:.1f} points"


def bias_page(report: BiasReport, title: str, facts: Sequence[tuple[str, str]]) -> Page:
    """The page.

    Args:
        report: What was found.
        title: Says of what.
        facts: What was looked at: name and value.
    """
    blocks: list[Block] = []
    for measure in MEASURES:
        findings = [finding for finding in report.findings if finding.measure == measure]
        if findings:
            blocks += [
                Heading(measure.capitalize(), _worst(findings)),
                Paragraph(_MEANINGS[measure]),
                _picture(report, measure, findings),
                _table(findings),
            ]
    return Page(
        title,
        report.result,
        verdict(report),
        [*facts, ("rows", f"{report.n:,}"), ("margin", points(report.margin)), ("tests", str(report.tests))],
        [*blocks, *_rest(report)],
    )


def _worst(findings: Sequence[Finding]) -> GateResult:
    results = {finding.result for finding in findings}
    return "fail" if "fail" in results else "inconclusive" if "inconclusive" in results else "pass"


def _picture(report: BiasReport, measure: str, findings: Sequence[Finding]) -> Picture:
    known = [finding for finding in findings if finding.gap is not None]
    worst = sorted(known, key=lambda finding: (finding.result != "fail", -(finding.gap or 0.0)))[:_SHOWN]
    shown = [finding for finding in known if finding in worst]
    figure, axes = make_figure(8.0, 0.8 + 0.24 * max(len(shown), 3))
    places, labels, place, dimension = [], [], 0.0, ""
    for finding in shown:
        place += 1.5 if dimension and finding.dimension != dimension else 1.0
        dimension = finding.dimension
        colour = _COLOURS[finding.result]
        axes.plot([100 * (finding.low or 0), 100 * (finding.high or 0)], [place, place], color=colour, linewidth=1.6)
        axes.plot(100 * (finding.gap or 0), place, _MARKERS[finding.result], color=colour, markersize=6)
        places.append(place)
        labels.append(f"{finding.dimension}: {finding.group}  (n {finding.n:,})")
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.axvline(100 * report.margin, color=INK, linewidth=1.0, linestyle="--")
    axes.set_yticks(places, labels, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("points by which the group is served worse than the others", fontsize=8)
    caption = (
        f"{measure.capitalize()} gap by group with its {1 - report.level:.0%} interval; the dashed line is the margin."
        " A cross is served worse, a dot is not, a diamond has too few rows to say."
        + (f" Of {len(known):,} groups, the {_SHOWN} that are served worst." if len(known) > _SHOWN else "")
    )
    return Picture(png(figure), caption)


def _table(findings: Sequence[Finding]) -> Table:
    return Table(
        ("", "dimension", "group", "group's", "others'", "gap, points", "interval", "adjusted p", "n", "needs n"),
        [
            (
                one.result,
                one.dimension,
                one.group,
                _percent(one.value),
                _percent(one.rest),
                None if one.gap is None else round(one.gap * 100, 1),
                interval(one),
                None if one.p is None else round(one.p, 4),
                one.n,
                one.needs_n,
            )
            for one in findings
        ],
        "At the same mix of intents.",
    )


def interval(finding: Finding) -> str:
    """The interval of a gap, in percentage points."""
    if finding.low is None or finding.high is None:
        return "–"
    return f"{finding.low * 100:.1f} to {finding.high * 100:.1f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _rest(report: BiasReport) -> list[Block]:
    figures = Table(
        ("dimension", "group", "n", "recall", "false handoff", "overconfidence", "calibration error"),
        [
            (
                one.dimension,
                one.group,
                one.n,
                _percent(one.recall),
                _percent(one.false_handoff),
                _percent(one.overconfidence),
                _percent(one.calibration_error),
            )
            for one in report.figures
        ],
        "As they are, whatever the mix of intents. The calibration error of few rows is too high.",
    )
    blocks: list[Block] = [Fold("Figures of all groups", [figures])] if report.figures else []
    if report.left_out:
        blocks.append(Table(("left out", "why"), sorted(report.left_out.items())))
    return [
        *blocks,
        Paragraph(
            "Each group is compared with all others of its dimension, within each true intent. A comparison fails where"
            " the gap is at least the margin and is not chance, with p-values adjusted for all tests of the report"
            " (Holm); it passes where the whole interval lies below the margin. The accent proxy says how well the"
            " speech recogniser hears a caller; nobody's accent is known."
        ),
    ]
