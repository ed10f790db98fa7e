"""The bias routine: each group beside the rest, by three measures, at the same mix of intents.

* **recall**: share of rows whose intent the model found; the gap is the rest's less the group's.
* **false handoff**: of the rows whose intent it found, the share that went to a person because confidence was below
  the threshold; the gap is the group's less the rest's.
* **calibration**: mean confidence less share found, the overconfidence; the gap is the group's less the rest's: the
  model promises this group more than it keeps. Too little confidence harms by handoffs, and is seen there.

A gap above 0 thus always means: served worse. Groups and the rest are compared within each true intent, so that a
group that asks for harder things is not taken for one that is served worse (:mod:`headset.stats.stratified`). All
tests of a report are one family, adjusted after Holm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from headset.core.errors import InvalidInput
from headset.data.bias.figure import group_figures
from headset.data.bias.outcome import UNKNOWN
from headset.data.bias.report import CALIBRATION, HANDOFF, NOT_KNOWN, RECALL, BiasReport, Finding
from headset.stats.intervals import newcombe
from headset.stats.multiplicity import holm
from headset.stats.stratified import Contrast, contrast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from headset.data.bias.outcome import Outcomes
    from headset.events.schema import GateResult

MARGIN = 0.05
LEVEL = 0.05
POWER = 0.8
FEWEST = 20
"""Groups of fewer rows are not tested, which leaves the level to those of which something can be said."""


@dataclass(frozen=True, eq=False)
class _Comparison:
    """A group, and what :func:`contrast` says of it; ``worse`` is 1 where a higher value is worse, else -1."""

    dimension: str
    group: str
    measure: str
    worse: int
    n: int
    n_rest: int
    found: Contrast | None

    @property
    def tested(self) -> bool:
        """Whether it is of the family of tests."""
        return self.found is not None and self.n >= FEWEST

    @property
    def gap(self) -> float:
        """How much worse the group is served."""
        return 0.0 if self.found is None else self.found.difference


def measure_bias(outcomes: Outcomes, *, margin: float = MARGIN, level: float = LEVEL) -> BiasReport:
    """Look for groups that are served worse.

    Args:
        outcomes: What became of each text; one text of each conversation, since tests take rows to be independent.
        margin: From which gap on a group counts as served worse, 0 to 1.
        level: Chance of any false ``fail``, and of a ``pass`` that a finding does not deserve.

    Raises:
        InvalidInput: margin or level is out of range, or there is no row.
    """
    findings, tests = find_gaps(outcomes, margin=margin, level=level)
    compared = {finding.dimension for finding in findings}
    results = {finding.result for finding in findings}
    overall: GateResult = (
        "fail" if "fail" in results else "inconclusive" if "inconclusive" in results or not results else "pass"
    )
    return BiasReport(
        result=overall,
        margin=margin,
        level=level,
        n=len(outcomes),
        tests=tests,
        findings=findings,
        figures=group_figures(outcomes),
        left_out={
            dimension: _why_not(column) for dimension, column in outcomes.groups.items() if dimension not in compared
        },
    )


def find_gaps(outcomes: Outcomes, *, margin: float = MARGIN, level: float = LEVEL) -> tuple[list[Finding], int]:
    """The findings alone, and how many tests are among them; see :func:`measure_bias`."""
    for name, value in (("margin", margin), ("level", level)):
        if not 0 < value < 1:
            raise InvalidInput(name, f"is {value:.12g}; it lies between 0 and 1, and 0.05 is usual")
    if not len(outcomes):
        raise InvalidInput("data", "holds no labelled row; label some")
    made = list(_compare(outcomes))
    raw = [each.found.p for each in made if each.found is not None and each.tested]
    adjusted = iter(holm(raw).tolist())
    judge = _Judge(margin, level, len(raw))
    return [judge.finding(each, next(adjusted) if each.tested else None) for each in made], len(raw)


def _compare(outcomes: Outcomes) -> Iterator[_Comparison]:
    strata = np.unique(outcomes.intents, return_inverse=True)[1]
    right = outcomes.right.astype(np.float64)
    everywhere = np.ones(len(outcomes), np.bool_)
    measures = (
        (RECALL, -1, right, everywhere),
        (HANDOFF, 1, outcomes.handed_over.astype(np.float64), outcomes.right),
        (CALIBRATION, 1, outcomes.confidence - right, everywhere),
    )
    for dimension, column in outcomes.groups.items():
        known = column != UNKNOWN
        names = np.unique(column[known])
        for name in names if len(names) > 1 else ():
            inside = column == name
            for measure, worse, values, counted in measures:
                rows = known & counted
                group = inside[rows]
                weights = None if outcomes.weights is None else outcomes.weights[rows]
                # the tail of `contrast` is the upper one: recall is compared as its opposite
                found = contrast(1 - values[rows] if worse < 0 else values[rows], group, strata[rows], weights)
                size = int(group.sum())
                yield _Comparison(dimension, str(name), measure, worse, size, len(group) - size, found)


@dataclass(frozen=True)
class _Judge:
    margin: float
    level: float
    tests: int

    def finding(self, each: _Comparison, p: float | None) -> Finding:
        low, high = self._interval(each)
        result: GateResult = "inconclusive"
        if p is not None and p <= self.level and each.gap >= self.margin:
            result = "fail"
        elif high is not None and high < self.margin:
            result = "pass"
        found = each.found
        value, rest = (None, None) if found is None else (found.group, found.rest)
        if each.worse < 0 and found is not None:
            value, rest = 1 - found.group, 1 - found.rest
        return Finding(
            dimension=each.dimension,
            group=each.group,
            measure=each.measure,
            result=result,
            gap=None if found is None else each.gap,
            low=low,
            high=high,
            p=p,
            value=value,
            rest=rest,
            n=each.n,
            n_rest=each.n_rest,
            needs_n=self._needed(each) if result == "inconclusive" else None,
        )

    def _interval(self, each: _Comparison) -> tuple[float, float] | tuple[None, None]:
        found, confidence = each.found, 1 - self.level
        if found is None:
            return None, None
        if each.measure != CALIBRATION:
            return newcombe(
                (found.group * found.group_size, found.group_size),
                (found.rest * found.rest_size, found.rest_size),
                confidence,
            )
        # Rows that are all right must not look precise: one right and one wrong row are added to the group, after
        # Agresti and Caffo, American Statistician 54, 2000.
        size = found.group_size
        spread = _normal(1 - self.level / 2) * max(found.error, math.sqrt((size + 1) / size) / (size + 2))
        return each.gap - spread, each.gap + spread

    def _needed(self, each: _Comparison) -> int | None:
        """Rows of the group with which a gap that is not there passes; where they are there, with which this one ends.

        The normal approximation ``((z_level + z_power) * error_of_one_row / distance) ** 2``, and no fewer than
        Wilson's interval takes when all rows are right.
        """
        if each.found is None:
            return None
        z, power = _normal(1 - self.level / 2), _normal(POWER)
        rows = each.n * each.found.error**2
        planned = math.ceil(max(rows * ((z + power) / self.margin) ** 2, z * z * (1 / self.margin - 1)))
        if each.n < planned:
            return planned
        fails = each.gap >= self.margin
        reach = (_normal(1 - self.level / max(self.tests, 1)) if fails else z) + power
        distance = each.gap if fails else self.margin - each.gap
        return max(math.ceil(rows * (reach / distance) ** 2), each.n + 1)


def _normal(share: float) -> float:
    return NormalDist().inv_cdf(share)


def _why_not(column: NDArray[np.str_]) -> str:
    known = column[column != UNKNOWN]
    if not len(known):
        return NOT_KNOWN
    return f"all {len(known)} rows of which it is known are of one group, {known[0]}"
