"""Is the candidate no worse than the champion, on the same rows?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headset.page.document import Paragraph, Picture, Table
from headset.stats.classification import accuracy
from headset.stats.paired import compare_paired, rows_needed
from headset.validation.gate import Judgement, at_least
from headset.validation.picture import draw_intervals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headset.events.schema import GateResult
    from headset.page.document import Block
    from headset.validation.context import Contender, Context


class ChampionGate:
    """Non-inferiority on paired rows.

    It passes when the 95 % interval of the difference (Tango 1998) lies above ``-margin``, and fails when the interval
    reaches below that and nowhere up to 0: worse, and not shown to be worse by less than the margin. Without a
    champion, the lower bound of accuracy must exceed the baseline that training recorded, and the share of the most
    frequent intent.
    """

    name = "champion"

    def judge(self, context: Context) -> Judgement:
        """See :meth:`Gate.judge`."""
        if context.too_few:
            return Judgement("inconclusive", {"n": len(context.rows)}, context.too_few)
        answers = context.champion_answers
        if context.champion is None or answers is None:
            return _judge_alone(context)
        return _judge_pair(context, context.champion, answers.intents == context.truth)


def judge_difference(low: float, high: float, margin: float) -> GateResult:
    """How a difference of accuracy between ``low`` and ``high`` stands, candidate less champion.

    >>> [judge_difference(low, high, 0.01) for low, high in ((-0.005, 0.02), (-0.02, 0.01), (-0.03, -0.001))]
    ['pass', 'inconclusive', 'fail']
    """
    if low > -margin:
        return "pass"
    return "fail" if high < 0 else "inconclusive"


def _judge_pair(context: Context, champion: Contender, theirs: NDArray[np.bool_]) -> Judgement:
    ours, rows, margin = context.right, len(context.rows), context.limits.margin
    only_ours, only_theirs = int(np.sum(ours & ~theirs)), int(np.sum(theirs & ~ours))
    difference = compare_paired(only_ours, only_theirs, rows)
    result = judge_difference(difference.low, difference.high, margin)
    evidence = {
        "n": rows,
        "accuracy": float(np.mean(ours)),
        "champion_accuracy": float(np.mean(theirs)),
        "candidate_only": only_ours,
        "champion_only": only_theirs,
        "difference": difference.value,
        "difference_low": difference.low,
        "difference_high": difference.high,
        "p_value": difference.p_value,
        "margin": margin,
    }
    told = (
        f"accuracy {evidence['accuracy']:.1%} beside {evidence['champion_accuracy']:.1%} of champion"
        f" {champion.version} on {rows:,} texts: {_points(difference.value)} points, 95 % interval"
        f" {_points(difference.low)} to {_points(difference.high)}, where {_points(-margin)} is allowed"
    )
    if result == "inconclusive":
        needed = rows_needed(only_ours, only_theirs, rows, margin)
        evidence["needs_n"] = needed
        told += f"; label some {needed:,} texts" if needed else "; no number of such texts would pass, train again"
    elif result == "fail":
        told += "; look at the intents below, and train again"
    picture = draw_intervals(
        [("candidate less champion", 100 * difference.value, 100 * difference.low, 100 * difference.high, result)],
        limit=-100 * margin,
        zero=True,
        axis="points of accuracy",
    )
    blocks: tuple[Block, ...] = (
        Picture(picture, "The difference with its 95 % interval; the dashed line is what may be lost."),
        Paragraph(
            f"{only_ours} texts only the candidate gets right, {only_theirs} only the champion; exact McNemar test"
            f" p = {difference.p_value:.2g}."
        ),
    )
    if only_ours or only_theirs:
        blocks = (*blocks, _by_intent(context.truth, ours, theirs))
    return Judgement(result, evidence, told, blocks)


def _judge_alone(context: Context) -> Judgement:
    found = accuracy(context.right)
    _, counts = np.unique(context.truth, return_counts=True)
    frequent = float(counts.max() / counts.sum())
    recorded = context.candidate.baseline_accuracy
    baseline = max(frequent, recorded or 0.0)
    result = at_least(found.low, found.high, baseline)
    what = "always saying the most frequent intent" if baseline == frequent else "the baseline of its training"
    evidence = {
        "n": len(context.rows),
        "accuracy": found.value,
        "accuracy_low": found.low,
        "accuracy_high": found.high,
        "baseline": baseline,
    }
    told = (
        f"there is no other champion; accuracy {found.value:.1%} (95 % interval {found.low:.1%} to {found.high:.1%})"
        f" on {len(context.rows):,} texts, where {what} has {baseline:.1%}"
    )
    if result != "pass":
        told += "; train on more texts"
    picture = draw_intervals(
        [("candidate", 100 * found.value, 100 * found.low, 100 * found.high, result)],
        limit=100 * baseline,
        axis="accuracy, %",
    )
    return Judgement(result, evidence, told, (Picture(picture, f"Accuracy with its 95 % interval; dashed: {what}."),))


_INTENTS = 8


def _by_intent(truth: NDArray[np.str_], ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> Table:
    """The intents that lose and win most."""
    names, place = np.unique(truth, return_inverse=True)
    balance = np.bincount(place, ours.astype(int) - theirs.astype(int))
    order = np.argsort(balance, kind="stable")
    chosen = [row for row in [*order[:_INTENTS], *order[-_INTENTS:]] if balance[row]]
    counts = np.bincount(place)
    rows = [
        (str(names[row]), int(counts[row]), int(ours[place == row].sum()), int(theirs[place == row].sum()))
        for row in dict.fromkeys(chosen)
    ]
    return Table(("intent", "texts", "candidate right", "champion right"), rows, "Intents that lose or win most")


def _points(share: float) -> str:
    return f"{100 * share:+.2f}"
