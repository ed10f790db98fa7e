"""Does the candidate notice what it was never made for?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headset.page.document import Picture, Table
from headset.stats.classification import auroc
from headset.stats.intervals import wilson
from headset.stats.roc import auroc_interval
from headset.validation.gate import Judgement, at_least, at_most, worst
from headset.validation.picture import draw_scores

if TYPE_CHECKING:
    from headset.validation.context import Answers, Context

_FEWEST = 30


class OutOfScopeGate:
    """Texts in scope score above texts out of scope, and the bot answers few of those.

    The area under the ROC curve of the score ``in_scope`` passes when its 95 % interval (Newcombe 2006) lies above the
    limit, and fails when it lies below. The share of out-of-scope texts that the bot would answer alone passes when its
    Wilson interval lies below its limit.
    """

    name = "out_of_scope"

    def judge(self, context: Context) -> Judgement:
        """See :meth:`Gate.judge`."""
        if context.too_few:
            return Judgement("inconclusive", {"n": len(context.rows)}, context.too_few)
        known = np.isin(context.truth, context.answers.labels)
        foreign = {kind: context.candidate.answer(texts) for kind, texts in context.foreign.items() if texts}
        count = sum(len(answers.in_scope) for answers in foreign.values())
        if count < _FEWEST or known.sum() < _FEWEST:
            told = (
                f"{count} texts out of scope and {int(known.sum())} in scope are too few, {_FEWEST} of each are needed;"
                " name more with --out-of-scope and --data"
            )
            return Judgement("inconclusive", {"n": int(known.sum()), "n_out_of_scope": count}, told)
        return _judge(context, context.answers.in_scope[known], foreign)


def _judge(context: Context, inside: np.ndarray, foreign: dict[str, Answers]) -> Judgement:
    limits = context.limits
    outside = np.concatenate([answers.in_scope for answers in foreign.values()])
    area = auroc(inside, outside)
    low, high = auroc_interval(area, len(inside), len(outside))
    answered = int(sum(_alone(context, kind, answers) for kind, answers in foreign.items()))
    few, many = wilson(answered, len(outside))
    apart = at_least(low, high, limits.auroc)
    silent = at_most(few, many, limits.false_answer)
    result = worst([apart, silent])
    evidence = {
        "n": len(inside),
        "n_out_of_scope": len(outside),
        "auroc": area,
        "auroc_low": low,
        "auroc_high": high,
        "false_answer": answered / len(outside),
        "false_answer_low": few,
        "false_answer_high": many,
    }
    told = (
        f"AUROC {area:.3f} (95 % interval {low:.3f} to {high:.3f}, at least {limits.auroc:g}); the bot answers"
        f" {answered / len(outside):.1%} ({few:.1%} to {many:.1%}, at most {limits.false_answer:.0%}) of"
        f" {len(outside)} texts that no intent fits"
    )
    if result == "fail":
        told += "; train with a higher --precision, or on texts like these as an intent of their own"
    elif result == "inconclusive":
        told += "; name more texts with --out-of-scope"
    rows = [
        (
            kind,
            len(answers.in_scope),
            round(auroc(inside, answers.in_scope), 4),
            f"{_alone(context, kind, answers) / len(answers.in_scope):.1%}",
        )
        for kind, answers in foreign.items()
    ]
    picture = draw_scores(inside, {kind: answers.in_scope for kind, answers in foreign.items()})
    blocks = (
        Picture(picture, "How texts in scope and out of scope score: the further apart the lines, the better."),
        Table(("out of scope", "texts", "AUROC", "answered alone"), rows),
    )
    return Judgement(result, evidence, told, blocks)


def _alone(context: Context, kind: str, answers: Answers) -> int:
    """Texts of a kind that no person would answer."""
    texts = context.foreign[kind]
    return sum(
        not context.hands_over(text, str(intent), float(sure), answers.threshold)
        for text, intent, sure in zip(texts, answers.intents, answers.confidence, strict=True)
    )
