"""The evidence that training itself gives: whether a version beats its baseline. A first champion needs no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.core.errors import Conflict
from headset.events.schema import Actor, GateEvaluated, ValidationEnded
from headset.registry.evidence import BASELINE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headset.events.schema import GateResult
    from headset.registry.store import ModelVersion, Registry

TRAINING = Actor(person="training", path="train")


def tell_baseline(
    registry: Registry, known: ModelVersion, *, beaten: bool, reason: str, evidence: Mapping[str, float]
) -> bool:
    """Keep on record how a new version compares with its baseline; where there is no champion yet, make it one.

    Args:
        registry: Holds the version.
        known: The version.
        beaten: Whether the baseline is beaten beyond chance.
        reason: That in a sentence.
        evidence: The figures behind it, finite.

    Returns:
        Whether it is champion now.

    Raises:
        StorageFailed: it could not be kept.
    """
    made = known.made
    result: GateResult = "pass" if beaten else "fail"
    validation_id = f"train-{made.run_id or known.version}"
    gate = GateEvaluated(
        model=known.model,
        version=known.version,
        gate=BASELINE,
        result=result,
        evidence=dict(evidence),
        reason=reason,
        validation_id=validation_id,
        artifact_sha256=made.artifact_sha256,
    )
    ended = ValidationEnded(
        model=known.model,
        version=known.version,
        validation_id=validation_id,
        artifact_sha256=made.artifact_sha256,
        champion="",
        results={BASELINE: result},
    )
    registry.tell_validation([gate], ended)
    if not beaten or registry.champion(known.model) is not None:
        return False
    try:
        registry.promote(known.model, known.version, by=TRAINING, reason=reason)
    except Conflict:  # another training was first
        return False
    return True
