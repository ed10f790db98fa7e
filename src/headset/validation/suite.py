"""Does the candidate behave: the simple things right, steady under noise, moved the way it should be?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from headset.events.schema import GateResult
from headset.page.document import Fold, Picture, Table
from headset.stats.intervals import wilson
from headset.validation.behaviour import SLACK, Behaviour, built_in
from headset.validation.gate import Judgement, at_most, worst
from headset.validation.picture import draw_intervals

if TYPE_CHECKING:
    from headset.page.document import Block
    from headset.validation.context import Answers, Context

_EXAMPLES = 5
_INTENT_TEXTS = 5
_FEWEST = 20


class Outcome(Struct, frozen=True):
    """What one test found; bounds are of a 95 % Wilson interval, or the share itself where all cases were tried."""

    name: str
    kind: str
    result: GateResult
    failed: int
    cases: int
    low: float
    high: float
    limit: float
    examples: tuple[tuple[str, str], ...] = ()

    @property
    def ratio(self) -> float:
        """Share of cases that failed."""
        return self.failed / self.cases if self.cases else 0.0


class SuiteGate:
    """Behavioural tests: those made from the data, and the user's own.

    A test on a sample passes when the Wilson interval of its failures lies below the limit and fails when it lies
    above; written-down cases are counted.
    """

    name = "suite"

    def judge(self, context: Context) -> Judgement:
        """See :meth:`Gate.judge`."""
        tests = [*context.suite]
        outcomes: list[Outcome] = []
        if not context.too_few:
            tests += built_in(context)
            outcomes.append(_forgotten(context))
        for done, test in enumerate(tests):
            outcomes.append(run_test(context, test))
            context.progress(self.name, (done + 1) / len(tests))
        result = worst([outcome.result for outcome in outcomes])
        if context.too_few and result == "pass":
            result = "inconclusive"
        evidence: dict[str, float] = {
            "tests": len(outcomes),
            "cases": sum(outcome.cases for outcome in outcomes),
            "failed_tests": sum(outcome.result == "fail" for outcome in outcomes),
            "inconclusive_tests": sum(outcome.result == "inconclusive" for outcome in outcomes),
        }
        evidence |= {f"failures: {outcome.name}": round(outcome.ratio, 6) for outcome in outcomes}
        return Judgement(result, evidence, _reason(context, outcomes), _blocks(outcomes))


def run_test(context: Context, test: Behaviour) -> Outcome:
    """Try all cases of a test on the candidate."""
    first = context.candidate.answer([case.text for case in test.cases])
    changed = [case.changed if case.changed is not None else case.text for case in test.cases]
    then = context.candidate.answer(changed) if any(case.changed is not None for case in test.cases) else first
    failed = [place for place in range(len(test.cases)) if _fails(context, test, changed[place], first, then, place)]
    result, low, high = _stand(len(failed), len(test.cases), test.limit, sampled=test.sampled)
    examples = tuple(
        (
            test.cases[place].text
            if test.cases[place].changed is None
            else f"{test.cases[place].text} → {changed[place]}",
            _said(first, then, place),
        )
        for place in failed[:_EXAMPLES]
    )
    return Outcome(test.name, test.kind, result, len(failed), len(test.cases), low, high, test.limit, examples)


def _fails(context: Context, test: Behaviour, text: str, first: Answers, then: Answers, place: int) -> bool:
    before, now = str(first.intents[place]), str(then.intents[place])
    if test.kind == "invariance":
        return now != before
    if test.intents and now not in test.intents:
        return True
    if test.handover is not None:
        given = context.hands_over(text, now, float(then.confidence[place]), then.threshold)
        if given != test.handover:
            return True
    if test.confidence is not None:
        column = int(first.probabilities[place].argmax())
        moved = float(then.probabilities[place, column] - first.probabilities[place, column])
        return moved > SLACK if test.confidence == "falls" else moved < -SLACK
    return False


def _forgotten(context: Context) -> Outcome:
    """Intents of which the candidate gets too few texts right: accuracy over all hides them."""
    names, place, counts = np.unique(context.truth, return_inverse=True, return_counts=True)
    kept = np.bincount(place, context.right).astype(int)
    tried = np.flatnonzero(counts >= _INTENT_TEXTS)
    lost = [row for row in tried if wilson(int(kept[row]), int(counts[row]))[1] < context.limits.recall]
    result, low, high = _stand(len(lost), len(tried), context.limits.forgotten, sampled=False)
    examples = tuple((str(names[row]), f"{kept[row]} of {counts[row]} texts right") for row in lost[:_EXAMPLES])
    name = f"every intent is understood in {context.limits.recall:.0%} of its texts"
    limit = context.limits.forgotten
    return Outcome(name, "minimum", result, len(lost), len(tried), low, high, limit, examples)


def _stand(failed: int, cases: int, limit: float, *, sampled: bool) -> tuple[GateResult, float, float]:
    if cases == 0 or (sampled and cases < _FEWEST):
        return "inconclusive", 0.0, 1.0
    if sampled:
        low, high = wilson(failed, cases)
        return at_most(low, high, limit), low, high
    ratio = failed / cases
    return at_most(ratio, ratio, limit), ratio, ratio


def _said(first: Answers, then: Answers, place: int) -> str:
    said = [f"{answers.intents[place]} ({answers.confidence[place]:.0%})" for answers in (first, then)]
    return said[0] if first is then else " → ".join(said)


def _reason(context: Context, outcomes: list[Outcome]) -> str:
    bad = [outcome for outcome in outcomes if outcome.result == "fail"]
    open_ = [outcome for outcome in outcomes if outcome.result == "inconclusive"]
    if bad:
        named = "; ".join(
            f"{outcome.name!r} fails in {outcome.failed} of {outcome.cases} cases, at most {outcome.limit:.0%}"
            for outcome in bad[:3]
        )
        return f"{len(bad)} of {len(outcomes)} tests fail: {named}; the report has examples to train on"
    if context.too_few:
        return f"no test can be made from the data: {context.too_few}"
    if open_:
        named = "; ".join(f"{each.name!r} fails in {each.failed} of {each.cases} cases" for each in open_[:3])
        return f"{len(open_)} of {len(outcomes)} tests are too near their limit: {named}; raise suite_cases, give data"
    return f"all {len(outcomes)} tests hold, over {sum(outcome.cases for outcome in outcomes):,} cases"


def _blocks(outcomes: list[Outcome]) -> tuple[Block, ...]:
    if not outcomes:
        return ()
    bars = [(each.name, 100 * each.ratio, 100 * each.low, 100 * each.high, each.result) for each in outcomes]
    picture = draw_intervals(bars, limits=[100 * each.limit for each in outcomes], axis="cases that fail, %")
    rows = [
        (each.name, each.kind, each.failed, each.cases, f"{each.ratio:.1%}", f"{each.limit:.1%}", each.result)
        for each in outcomes
    ]
    table = Table(("test", "kind", "failed", "cases", "share", "limit", "result"), rows)
    folds = [
        Fold(f"Failures: {each.name}", [Table(("text", "said"), each.examples)]) for each in outcomes if each.examples
    ]
    caption = "Failures of each test with their 95 % interval, and its limit (dashed)."
    return (Picture(picture, caption), table, *folds)
