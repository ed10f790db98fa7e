"""Whether a new risk model may replace the reigning one: both on the same conversations, the new one held out.

The reigning model is asked as it serves. It may have learned from these conversations, which the new one, held out, has
not: that favours the reigning one, so a pass is one, and a failure may be harder to believe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from headset.core.errors import HeadsetError
from headset.events.schema import GateEvaluated, ValidationEnded
from headset.registry.evidence import CHAMPION
from headset.registry.risk import RiskScorer
from headset.stats.calibration import calibration_interval
from headset.training.risk.model import turn_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headset.events.schema import GateResult
    from headset.registry.store import ModelVersion, Registry
    from headset.training.risk.data import RiskData
    from headset.training.risk.evaluation import HeldOut

CALIBRATION = "calibration"
CALIBRATION_ERROR = 0.05
"""The largest expected calibration error."""
BRIER_MARGIN = 0.005
"""How much worse the Brier score may be than the reigning model's."""

_DRAWS = 2_000
_MORE = "import more conversations whose end is known, and train again"
_FAVOUR = "it may have learned from them, which favours it"


class Judged(NamedTuple):
    """What a gate found: its result, the figures it rests on, and why, in a sentence."""

    result: GateResult
    evidence: dict[str, float]
    reason: str


def tell_challenge(
    registry: Registry, known: ModelVersion, reigning: ModelVersion, data: RiskData, found: HeldOut, *, seed: int
) -> dict[str, Judged]:
    """Keep on record how a new version stands to the reigning one and whether its risks can be believed.

    Args:
        registry: Holds both.
        known: The new version.
        reigning: The champion.
        data: The turns that both are judged on.
        found: What the new one said of them, held out.
        seed: Decides the draws.

    Returns:
        What each gate found, by its name.

    Raises:
        StorageFailed: it could not be kept.
    """
    gates = {
        CHAMPION: judge_champion(registry, reigning, data, found, seed=seed),
        CALIBRATION: judge_calibration(data, found.risks, seed=seed),
    }
    validation_id = f"challenge-{known.made.run_id or known.version}"
    told = [
        GateEvaluated(
            model=known.model,
            version=known.version,
            gate=name,
            result=each.result,
            evidence=each.evidence,
            reason=each.reason,
            validation_id=validation_id,
            artifact_sha256=known.made.artifact_sha256,
        )
        for name, each in gates.items()
    ]
    ended = ValidationEnded(
        model=known.model,
        version=known.version,
        validation_id=validation_id,
        artifact_sha256=known.made.artifact_sha256,
        champion=reigning.version,
        results={name: each.result for name, each in gates.items()},
        seed=seed,
    )
    registry.tell_validation(told, ended)
    return gates


def judge_champion(registry: Registry, reigning: ModelVersion, data: RiskData, found: HeldOut, *, seed: int) -> Judged:
    """Brier score of the reigning model less that of the new one, over conversations, with its 95 % interval.

    Turns weigh as in training, so that conversations weigh alike; the interval is a bootstrap over conversations
    (Efron 1979).
    It passes where it lies above ``-BRIER_MARGIN`` and the new one beats the baselines, and fails where it lies below.
    """
    try:
        theirs = _as_it_serves(registry, reigning, data)
    except HeadsetError as error:
        return Judged("inconclusive", {}, f"version {reigning.version} cannot be asked: {error}")
    if isinstance(theirs, str):
        return Judged("inconclusive", {}, theirs)
    ours, theirs = (brier_by_conversation(data, risks) for risks in (found.risks, theirs))
    low, high = _interval(theirs - ours, seed)
    evidence = {
        "n": float(len(ours)),
        "brier": float(ours.mean()),
        "brier_champion": float(theirs.mean()),
        "gain": float((theirs - ours).mean()),
        "gain_low": low,
        "gain_high": high,
        "margin": BRIER_MARGIN,
    }
    told = (
        f"over {len(ours):,} conversations its Brier score, held out, is {ours.mean():.4f}, that of version"
        f" {reigning.version} {theirs.mean():.4f} ({_FAVOUR}): gain {evidence['gain']:+.4f} (95 % interval {low:+.4f}"
        f" to {high:+.4f}, {BRIER_MARGIN:g} may be lost)"
    )
    if high < -BRIER_MARGIN:
        return Judged("fail", evidence, f"{told}; {_MORE}")
    if not found.evaluation.beaten:
        return Judged("fail", evidence, f"{told}; it does not beat both baselines; {_MORE}")
    return (
        Judged("pass", evidence, told) if low >= -BRIER_MARGIN else Judged("inconclusive", evidence, f"{told}; {_MORE}")
    )


def judge_calibration(data: RiskData, risks: NDArray[np.float64], *, seed: int) -> Judged:
    """Whether the expected calibration error of held-out risks keeps to ``CALIBRATION_ERROR``.

    All turns count alike, as in the metric ``calibration_error``; the interval is drawn over whole conversations.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    error = calibration_interval(risks, data.bad, random, groups=data.conversations)
    evidence = {
        "n": float(len(risks)),
        "calibration_error": error.value,
        "calibration_error_low": error.low,
        "calibration_error_high": error.high,
    }
    told = (
        f"calibration error {error.value:.3f} (95 % interval {error.low:.3f} to {error.high:.3f}, at most"
        f" {CALIBRATION_ERROR:g}) on {len(risks):,} held-out turns"
    )
    if error.high <= CALIBRATION_ERROR:
        return Judged("pass", evidence, told)
    return Judged("fail" if error.low > CALIBRATION_ERROR else "inconclusive", evidence, f"{told}; {_MORE}")


def brier_by_conversation(data: RiskData, risks: NDArray[np.float64]) -> NDArray[np.float64]:
    """(m,) squared error of each conversation's turns, weighed as in training (Brier, Monthly Weather Review 1950)."""
    errors = turn_weights(data.conversations) * (risks - data.bad) ** 2
    return np.bincount(data.conversations, errors).astype(np.float64)


def _as_it_serves(registry: Registry, reigning: ModelVersion, data: RiskData) -> NDArray[np.float64] | str:
    """(n,) what the reigning version says of each turn; a sentence where it reads what the turns do not have."""
    scorer = RiskScorer.load(registry.artifact(reigning.model, reigning.version))
    absent = sorted(name for name, version in scorer.features.items() if data.made.features.get(name) != version)
    if absent:
        return (
            f"version {reigning.version} reads {', '.join(absent[:3])}{' …' if len(absent) > 3 else ''}, which these"
            " conversations were not given in that version; no comparison is possible, so ask for a waiver"
        )
    return scorer.score(data.rows())


def _interval(gains: NDArray[np.float64], seed: int) -> tuple[float, float]:
    """95 % interval of the mean."""
    random = np.random.Generator(np.random.PCG64(seed))
    count = len(gains)
    drawn = random.multinomial(count, np.full(count, 1 / count), _DRAWS) @ gains / count
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)
