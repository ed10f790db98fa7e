"""What a gate is: it judges a model version on what the context holds, and says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from headset.events.schema import GateResult
from headset.page.document import Block

if TYPE_CHECKING:
    from headset.validation.context import Context


class Judgement(Struct, frozen=True):
    """What a gate found.

    Attributes:
        result: ``inconclusive`` where the evidence does not reach for either; it is never taken for a ``pass``.
        evidence: The figures it rests on, by name.
        reason: The verdict in a sentence; where it is no pass, with the next step.
        blocks: What the report shows of it.
    """

    result: GateResult
    evidence: dict[str, float]
    reason: str
    blocks: tuple[Block, ...] = ()


class Gate(Protocol):
    """One question about a model version."""

    @property
    def name(self) -> str:
        """What the record calls it."""
        ...

    def judge(self, context: Context) -> Judgement:
        """Answer it; equal contexts give equal answers, but for measured times.

        Raises:
            HeadsetError: it cannot be answered; the validation calls that inconclusive.
        """
        ...


def worst(results: list[GateResult]) -> GateResult:
    """``fail`` where one fails, else ``inconclusive`` where one is or there is none, else ``pass``.

    >>> worst(["pass", "inconclusive"]), worst(["pass", "fail", "inconclusive"]), worst([])
    ('inconclusive', 'fail', 'inconclusive')
    """
    if "fail" in results:
        return "fail"
    return "inconclusive" if "inconclusive" in results or not results else "pass"


def at_most(low: float, high: float, limit: float) -> GateResult:
    """Whether a figure that lies between ``low`` and ``high`` keeps to its limit.

    >>> at_most(0.01, 0.03, 0.05), at_most(0.04, 0.06, 0.05), at_most(0.06, 0.08, 0.05)
    ('pass', 'inconclusive', 'fail')
    """
    return "pass" if high <= limit else "fail" if low > limit else "inconclusive"


def at_least(low: float, high: float, limit: float) -> GateResult:
    """The same of a figure that should be high.

    >>> at_least(0.9, 0.95, 0.85)
    'pass'
    """
    return at_most(-high, -low, -limit)
