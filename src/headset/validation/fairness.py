"""Is any group of customers served worse?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.data.bias.gap import measure_bias
from headset.data.bias.outcome import UNKNOWN, judge_outcomes
from headset.page.document import Paragraph, Picture, Table
from headset.validation.gate import Judgement
from headset.validation.picture import draw_intervals

if TYPE_CHECKING:
    from headset.data.bias.report import BiasReport, Finding
    from headset.page.document import Block
    from headset.validation.context import Context

_SHOWN = 24


class FairnessGate:
    """The bias routine on the rows whose group is known: recall, false handoffs and calibration of each group.

    It fails where a group is served worse by at least the margin and that is not chance, over all groups together
    (:func:`headset.data.bias.gap.measure_bias`). Where no group is known it is inconclusive: what was not looked at was
    not found fair.
    """

    name = "fairness"

    def judge(self, context: Context) -> Judgement:
        """See :meth:`Gate.judge`."""
        if context.too_few:
            return Judgement("inconclusive", {"n": len(context.rows)}, context.too_few)
        known = {name: sum(group != UNKNOWN for group in column) for name, column in context.rows.groups.items()}
        if not any(known.values()):
            told = (
                f"no customer's group is known in {context.rows.name}; validate on conversations with language, channel"
                " or segment ('headset import jsonl', or intents that agents verify)"
            )
            return Judgement("inconclusive", {"n": len(context.rows), "groups": 0}, told)
        answers = context.answers
        outcomes = judge_outcomes(
            answers.probabilities,
            answers.labels,
            context.rows.labels,
            threshold=answers.threshold,
            groups=context.rows.groups,
        )
        return _judge(measure_bias(outcomes, margin=context.limits.bias_margin))


def _judge(report: BiasReport) -> Judgement:
    measured = [finding for finding in report.findings if finding.gap is not None]
    evidence: dict[str, float] = {
        "n": report.n,
        "tests": report.tests,
        "margin": report.margin,
        "failing": len(report.of("fail")),
        "inconclusive": len(report.of("inconclusive")),
    }
    if measured:
        evidence["largest_gap"] = max(finding.gap or 0.0 for finding in measured)
    blocks: list[Block] = [_picture(measured), _table(report)] if measured else []
    blocks += [Paragraph(f"{name} is left out: {why}") for name, why in report.left_out.items()]
    return Judgement(report.result, evidence, _reason(report), tuple(blocks))


def _reason(report: BiasReport) -> str:
    if bad := report.of("fail"):
        named = "; ".join(f"{_name(finding)} by {100 * (finding.gap or 0):.1f} points" for finding in bad[:3])
        return f"served worse: {named}; collect texts of these customers and train again"
    if unsettled := report.of("inconclusive"):
        needed = [finding.needs_n for finding in unsettled if finding.needs_n is not None]
        told = f"{len(unsettled)} of {len(report.findings)} comparisons are unsettled, {_name(unsettled[0])} among them"
        return f"{told}; up to {max(needed):,} texts of a group would settle them" if needed else f"{told}; label more"
    if not report.findings:
        return "no two groups could be compared; validate on texts of several groups"
    return f"no group is served worse by {100 * report.margin:g} points or more, in {report.tests} comparisons"


def _name(finding: Finding) -> str:
    return f"{finding.dimension} {finding.group}, {finding.measure}"


def _picture(measured: list[Finding]) -> Picture:
    ranked = sorted(measured, key=lambda finding: -(finding.gap or 0.0))[:_SHOWN]
    bars = [
        (_name(each), 100 * (each.gap or 0.0), 100 * (each.low or 0.0), 100 * (each.high or 0.0), each.result)
        for each in ranked
    ]
    picture = draw_intervals(bars, axis="points worse than all others", zero=True)
    return Picture(picture, "How much worse each group is served, with its interval; the largest gaps first.")


def _table(report: BiasReport) -> Table:
    rows = [
        (each.dimension, each.group, each.n, round(each.recall, 4), each.false_handoff, round(each.overconfidence, 4))
        for each in report.figures
    ]
    return Table(("dimension", "group", "texts", "recall", "false handoff", "overconfidence"), rows)
