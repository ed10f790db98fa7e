"""A validation: all gates in order, and what they found together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from headset.events.schema import GateResult
from headset.registry.evidence import FLOOR
from headset.validation.business import BusinessGate
from headset.validation.calibration import CalibrationGate
from headset.validation.champion import ChampionGate
from headset.validation.fairness import FairnessGate
from headset.validation.gate import Gate, Judgement, worst
from headset.validation.latency import LatencyGate
from headset.validation.out_of_scope import OutOfScopeGate
from headset.validation.suite import SuiteGate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headset.validation.context import Context

GATES: tuple[Gate, ...] = (
    SuiteGate(),
    ChampionGate(),
    OutOfScopeGate(),
    CalibrationGate(),
    FairnessGate(),
    LatencyGate(),
    BusinessGate(),
)


class Validation(Struct, frozen=True):
    """What the gates found.

    Attributes:
        result: ``pass`` where all pass, ``fail`` where one fails, else ``inconclusive``.
        judgements: By the gate's name, in order.
    """

    result: GateResult
    judgements: dict[str, Judgement]

    @property
    def results(self) -> dict[str, GateResult]:
        """The result of each gate."""
        return {name: judgement.result for name, judgement in self.judgements.items()}


def validate(context: Context, gates: Sequence[Gate] = GATES) -> Validation:
    """Ask all gates; one that cannot answer is inconclusive, and says why."""
    judgements = {}
    for gate in gates:
        context.progress(gate.name, 0.0)
        try:
            judgements[gate.name] = gate.judge(context)
        except Exception as error:  # noqa: BLE001 - a gate that breaks must never look like one that passes
            told = str(error) or type(error).__name__
            judgements[gate.name] = Judgement("inconclusive", {}, f"it could not be judged: {told}")
        judgements[gate.name] = _unless_learned(gate.name, judgements[gate.name], context.rows.unknown)
        context.progress(gate.name, 1.0)
    return Validation(worst([judgement.result for judgement in judgements.values()]), judgements)


def _unless_learned(gate: str, judgement: Judgement, unknown: str) -> Judgement:
    """The gates that no setting takes away do not pass on texts that may have been learned from."""
    if not unknown or gate not in FLOOR or judgement.result != "pass":
        return judgement
    told = f"{unknown}, so it may have seen these texts, and two people must waive this gate; {judgement.reason}"
    return replace(judgement, result="inconclusive", reason=told)
