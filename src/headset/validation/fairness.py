"""Is any group of customers served worse?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.data.bias.gap import measure_bias
from headset.data.bias.outcome import UNKNOWN, judge_outcomes
from headset.data.bias.page import bias_page, verdict
from headset.validation.gate import Judgement

if TYPE_CHECKING:
    from headset.data.bias.report import BiasReport
    from headset.validation.context import Context


class FairnessGate:
    """The bias routine on the rows whose group is known: recall, false handoffs and calibration of each group.

    It fails where a group is served worse by at least the margin and that is not chance, over all groups together
    (:func:`headset.data.bias.gap.measure_bias`). Where no group is known it is inconclusive: what was not looked at was
    not found fair. Of each conversation one text counts, since the tests take rows to be independent.
    """

    name = "fairness"

    def judge(self, context: Context) -> Judgement:
        """See :meth:`Gate.judge`."""
        rows = context.rows
        if context.too_few:
            return Judgement("inconclusive", {"n": len(rows)}, context.too_few)
        if not any(group != UNKNOWN for column in rows.groups.values() for group in column):
            told = (
                f"no customer's group is known in {rows.name}; validate on conversations that say language, channel or"
                " attributes ('headset import jsonl'), or on intents that agents verify"
            )
            return Judgement("inconclusive", {"n": len(rows), "dimensions": 0}, told)
        places = list(dict(zip(reversed(rows.conversations), reversed(range(len(rows))), strict=True)).values())[::-1]
        answers = context.answers
        probabilities = answers.probabilities[places]
        outcomes = judge_outcomes(
            [answers.labels[column] for column in probabilities.argmax(axis=1)],
            probabilities.max(axis=1),
            [rows.labels[place] for place in places],
            threshold=answers.threshold,
            groups={dimension: [column[place] for place in places] for dimension, column in rows.groups.items()},
        )
        return _judge(measure_bias(outcomes, margin=context.limits.bias_margin))


def _judge(report: BiasReport) -> Judgement:
    gaps = [finding.gap for finding in report.findings if finding.gap is not None]
    evidence: dict[str, float] = {
        "n": report.n,
        "tests": report.tests,
        "margin": report.margin,
        "failing": len(report.of("fail")),
        "inconclusive": len(report.of("inconclusive")),
    }
    if gaps:
        evidence["largest_gap"] = max(gaps)
    told = verdict(report).rstrip(".")
    if report.result == "fail":
        told += "; collect texts of these customers and train again"
    elif report.result == "inconclusive":
        needed = [finding.needs_n for finding in report.findings if finding.needs_n is not None]
        told += (
            f"; up to {max(needed):,} texts of a group would settle it" if needed else "; label texts of more groups"
        )
    return Judgement(report.result, evidence, told, tuple(bias_page(report, "", []).blocks))
