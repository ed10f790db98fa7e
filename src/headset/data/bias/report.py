"""What was found of the groups of customers: types that travel."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from headset.events.schema import GateResult

RECALL, HANDOFF, CALIBRATION = "recall", "false handoff", "calibration"
"""What is compared; see :mod:`headset.data.bias.gap`."""


NOT_KNOWN = "it is known of no row"
"""Why a dimension is left out where nobody said it."""


class Finding(Struct, frozen=True, kw_only=True):
    """One group beside all other rows of its dimension, by one measure.

    Attributes:
        dimension: Such as ``language``.
        group: Such as ``es``.
        measure: One of :data:`RECALL`, :data:`HANDOFF` and :data:`CALIBRATION`.
        result: ``fail``: served worse by at least the margin, which is not chance; ``pass``: whatever the gap is, it
            is below the margin; ``inconclusive``: too few rows to say either.
        gap: How much worse the group is served than the rest, at the same mix of intents; below 0 where it is served
            better, None where no intent has rows of both.
        low: Lower end of the gap's interval.
        high: Upper end.
        p: Chance of such a gap without bias, adjusted for all tests of the report; None where it was not tested.
        value: The measure of the group, at the same mix of intents.
        rest: The same of the rest.
        n: Rows of the group that count for the measure.
        n_rest: The same of the rest.
        needs_n: How many rows of the group would settle an inconclusive finding, four times in five, the shares of
            groups staying as they are; None where it is settled, or where no number of such rows would.
    """

    dimension: str
    group: str
    measure: str
    result: GateResult
    gap: float | None
    low: float | None
    high: float | None
    p: float | None
    value: float | None
    rest: float | None
    n: int
    n_rest: int
    needs_n: int | None


class GroupFigures(Struct, frozen=True, kw_only=True):
    """How a group is served, whatever its mix of intents; None where no row counts.

    Attributes:
        dimension: Such as ``language``.
        group: Such as ``es``.
        n: Rows of the group.
        recall: Share of them whose intent was found.
        false_handoff: Share of the found ones that went to a person because confidence was below the threshold.
        overconfidence: Mean confidence less ``recall``.
        calibration_error: Expected calibration error, 15 bins; of few rows it is too high.
    """

    dimension: str
    group: str
    n: int
    recall: float
    false_handoff: float | None
    overconfidence: float
    calibration_error: float


class BiasReport(Struct, frozen=True, kw_only=True):
    """Whether any group of customers is served worse.

    Attributes:
        result: ``fail`` where a finding fails; else ``inconclusive`` where one is, or where nothing could be compared.
        margin: From which gap on a group counts as served worse.
        level: Chance of any false ``fail`` in the whole report, and of a ``pass`` that a finding does not deserve.
        n: Rows.
        tests: Size of the family: p-values are adjusted (Holm) for so many tests.
        findings: By dimension, group and measure.
        figures: By dimension and group.
        left_out: Dimensions in which there is nothing to compare, and why.
        excluded: Texts that are not among the rows, because the model learned from them.
        unknown: Why not all texts that the model learned from are known; empty where they are.
    """

    result: GateResult
    margin: float
    level: float
    n: int
    tests: int
    findings: Sequence[Finding]
    figures: Sequence[GroupFigures]
    left_out: dict[str, str]
    excluded: int = 0
    unknown: str = ""

    def of(self, result: GateResult) -> list[Finding]:
        """The findings with this result."""
        return [finding for finding in self.findings if finding.result == result]
