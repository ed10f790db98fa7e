"""Can the candidate's confidence be believed, and its promise of precision?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.page.document import Picture
from headset.stats.calibration import calibration_interval
from headset.stats.intervals import wilson
from headset.validation.gate import Judgement, at_most, worst
from headset.validation.picture import draw_reliability

if TYPE_CHECKING:
    from headset.events.schema import GateResult
    from headset.validation.context import Context


class CalibrationGate:
    """Expected calibration error below its limit, and the precision above the threshold that training promised.

    The error passes when its bootstrap interval lies below the limit, and fails when it lies above. Precision passes
    when its 95 % Wilson interval lies above the target less ``precision_margin``, and fails when it lies below the
    target itself.
    """

    name = "calibration"

    def judge(self, context: Context) -> Judgement:
        """See :meth:`Gate.judge`."""
        if context.too_few:
            return Judgement("inconclusive", {"n": len(context.rows)}, context.too_few)
        answers, limits = context.answers, context.limits
        error = calibration_interval(answers.confidence, context.right, context.random(self.name))
        believed = at_most(error.low, error.high, limits.calibration_error)
        alone = int(answers.alone.sum())
        kept = int((answers.alone & context.right).sum())
        low, high = wilson(kept, alone)
        target = context.candidate.target_precision
        precise = judge_precision(low, high, target, limits.precision_margin)
        evidence = {
            "n": len(context.rows),
            "calibration_error": error.value,
            "calibration_error_low": error.low,
            "calibration_error_high": error.high,
            "automatic_ratio": alone / len(context.rows),
            "target_precision": target,
            "precision_low": low,
            "precision_high": high,
        }
        told = (
            f"calibration error {error.value:.3f} (95 % interval {error.low:.3f} to {error.high:.3f}, at most"
            f" {limits.calibration_error:g})"
        )
        if alone:
            evidence["precision"] = kept / alone
            told += (
                f"; of the {alone / len(context.rows):.0%} it answers alone {kept / alone:.1%} are right"
                f" ({low:.1%} to {high:.1%}, target {target:.1%})"
            )
        else:
            told += "; it answers nothing alone, so that its precision is not known"
        result = worst([believed, precise])
        if result == "inconclusive":
            told += "; label more texts"
        elif result == "fail":
            told += "; train again on texts like these"
        picture = draw_reliability(answers.confidence, context.right, answers.threshold)
        caption = "Share of right answers by confidence, and how many texts have that confidence."
        return Judgement(result, evidence, told, (Picture(picture, caption),))


def judge_precision(low: float, high: float, target: float, margin: float) -> GateResult:
    """How precision between ``low`` and ``high`` stands to its target.

    >>> judge_precision(0.94, 0.97, 0.95, 0.03), judge_precision(0.9, 0.94, 0.95, 0.03)
    ('pass', 'fail')
    """
    if low >= target - margin:
        return "pass"
    return "fail" if high < target else "inconclusive"
