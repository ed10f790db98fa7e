"""``headset train risk``: from conversations whose end is known to a registered, tracked, perhaps serving version.

Everything is measured with the compiled scorer, on conversations the model has not seen. Nothing is registered before
all is measured and tracked.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import asdict, replace

import headset
from headset.events.schema import ModelRegistered
from headset.registry.evidence import CHAMPION
from headset.training.first_champion import tell_baseline
from headset.training.recording import failing_early, provenance, scratch, tracker_opening
from headset.training.risk.champion import tell_challenge
from headset.training.risk.data import read_risk_data
from headset.training.risk.evaluation import MAJORITY, SENTIMENT, Compared, Evaluation, Interval, evaluate_risk
from headset.training.risk.model import FOLDS, VECTOR_WEIGHT, fit_risk, handoff_threshold, peaks
from headset.training.risk.report import RiskReport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headset.core.clock import Clock
    from headset.events.log import Log
    from headset.features.definition import FeatureService
    from headset.features.signal import SignalReader
    from headset.registry.risk import RiskScorer
    from headset.registry.store import ModelVersion, Registry
    from headset.training.recipe import RiskRequest
    from headset.training.recording import Progress
    from headset.training.risk.champion import Judged
    from headset.training.risk.data import RiskData
    from headset.training.risk.evaluation import HeldOut
    from headset.training.risk.model import FittedRisk
    from headset.training.tracking import Portable, Run

MODEL = "risk"
SIGNATURE = json.dumps(
    {
        "inputs": json.dumps([{"type": "string", "name": "features", "required": True}]),
        "outputs": json.dumps(
            [
                {"type": "double", "name": "risk", "required": True},
                {"type": "boolean", "name": "handoff", "required": True},
            ]
        ),
        "params": None,
    }
)
"""What goes in and comes out, in the form MLflow keeps signatures in."""

_RESULTS = {"pass": "passed", "fail": "failed", "inconclusive": "is inconclusive"}
_EXAMPLES = ['{"on_demand.sentiment": -0.6, "sentiment.mean": 0.1}', "{}"]


def train_risk(  # noqa: PLR0913 - stores, clock, randomness and settings come in as arguments
    *,
    log: Log,
    registry: Registry,
    signals: SignalReader,
    service: FeatureService,
    home: Path,
    tracking_uri: str,
    request: RiskRequest,
    clock: Clock,
    commit: str,
    progress: Progress,
) -> RiskReport:
    """Train a risk model, measure it, track the run, register the version.

    The version becomes champion when there is none yet and it beats both baselines. Where one reigns, how the two
    compare is kept on record, so that the version may be promoted.

    Args:
        log: Holds the data.
        registry: Takes the version in.
        signals: Reads turns.
        service: What the model reads, made of these signals.
        home: Folder of the MLflow store, unless ``tracking_uri`` names another; also for files in the making.
        tracking_uri: An MLflow tracking server or database; empty for the store in ``home``.
        request: What is asked for; equal requests, data and code give equal artifacts.
        clock: Dates the run.
        commit: The code's, as tracked.
        progress: Called with a phase and the fraction of it that is done, 0 to 1.

    Raises:
        NotFound: there is no data of that name.
        InvalidInput: the data or a setting allows no training.
        StorageFailed: MLflow or the registry cannot be reached or written; nothing was registered.
    """
    began, began_s = clock.now(), clock.monotonic()
    data = _read(log, signals, service, request, progress)
    progress("open MLflow", 0.0)
    with tracker_opening(home, tracking_uri) as opening, scratch(home) as folder:
        progress("open MLflow", 1.0)
        tell = failing_early(progress, opening)
        artifact = folder / "model"
        scorer, fitted, held_out, sha256 = _make(data, service, request, artifact, tell)
        found = held_out.evaluation
        made = ModelRegistered(
            model=MODEL,
            version="",
            artifact_sha256=sha256,
            run_id="",
            dataset=request.dataset or "",
            data_fingerprint=data.made.fingerprint,
            commit=commit,
            seed=request.seed,
            metrics=_metrics(found, data, scorer.threshold),
            encoder_version=signals.versions["embedding"],
            signature=SIGNATURE,
            feature_service=service.name,
            features=scorer.features,
            data_position=data.made.position,
            request=msgspec.json.encode(request).decode(),
        )
        tell("track", 0.0)
        tracker = opening.result()
        rises = registry.champion(MODEL) is None and found.beaten
        run = _run(made, request.handoffs, fitted, began, clock.now(), _write_report(found, folder / "report"))
        with tracker.record(run, _portable(made, artifact, champion=rises)) as run_id:
            tell("track", 1.0)
            tell("register", 0.0)
            known = registry.register(replace(made, run_id=run_id), artifact)
            rises = tell_baseline(
                registry, known, beaten=found.beaten, reason=_evidence(found), evidence=_macro_f1(made.metrics)
            )
            reigning = None if rises else registry.champion(MODEL)  # another training may have been first
            gates = {}
            if reigning is not None:
                gates = tell_challenge(registry, known, reigning, data, held_out, seed=request.seed)
            tell("register", 1.0)
    return RiskReport(
        model=MODEL,
        version=known.version,
        champion=rises,
        verdict=_verdict(known.version, reigning, found, gates),
        dataset=made.dataset,
        data_fingerprint=made.data_fingerprint,
        data_position=made.data_position,
        feature_service=service.name,
        features=made.features,
        conversations=len(data.endings),
        bad=int(data.endings.sum()),
        turns=len(data.bad),
        evaluation=found,
        threshold=scorer.threshold,
        metrics=made.metrics,
        artifact_sha256=made.artifact_sha256,
        run_id=run_id,
        tracking_uri=tracker.uri,
        commit=commit,
        seed=request.seed,
        duration_s=clock.monotonic() - began_s,
    )


def repeat_risk(
    *, log: Log, signals: SignalReader, service: FeatureService, home: Path, request: RiskRequest, progress: Progress
) -> str:
    """Make the artifact of a request again, register nothing, and give the artifact's SHA-256 (hex).

    Args:
        log: As it was then, see :class:`headset.events.past.Past`.
        signals: Reads turns.
        service: What the model read then.
        home: Where files are in the making.
        request: What was asked for.
        progress: Called with a phase and the fraction of it that is done, 0 to 1.

    Raises:
        NotFound: there is no data of that name.
        InvalidInput: the data or a setting allows no training.
        StorageFailed: there is no room for the files.
    """
    data = _read(log, signals, service, request, progress)
    with scratch(home) as folder:
        return _make(data, service, request, folder / "model", progress).sha256


def _read(
    log: Log, signals: SignalReader, service: FeatureService, request: RiskRequest, progress: Progress
) -> RiskData:
    request.check()
    return read_risk_data(log, signals, service, request.dataset, progress=lambda part: progress("read the log", part))


class _Made(NamedTuple):
    """A model, its measures, and the hash of the files it was written to."""

    scorer: RiskScorer
    fitted: FittedRisk
    held_out: HeldOut
    sha256: str


def _make(data: RiskData, service: FeatureService, request: RiskRequest, artifact: Path, tell: Progress) -> _Made:
    """Measure on held-out folds, fit on all, and write the files."""
    share, seed = request.handoffs, request.seed
    held_out = evaluate_risk(
        data, service, share=share, seed=seed, progress=lambda part: tell("measure on held-out folds", part)
    )
    fitted = fit_risk(data, np.arange(len(data.bad)), seed, lambda part: tell("fit on all conversations", part))
    threshold = handoff_threshold(peaks(fitted.unseen, data.conversations), share)
    scorer = fitted.compiled(service, data, threshold)
    return _Made(scorer, fitted, held_out, scorer.save(artifact))


def _metrics(found: Evaluation, data: RiskData, threshold: float) -> dict[str, float]:
    """Everything worth comparing between versions, by name."""
    metrics = {
        "auroc": found.auroc,
        "auroc_every_turn": found.auroc_every,
        "bad_ratio": float(np.mean(data.endings)),
        "calibration_error": found.calibration_error,
        **{f"handoff_{name}": value for name, value in asdict(found.handoffs).items()},
        "threshold": threshold,
    }
    for place, compared in (("last_turn", found.last), ("every_turn", found.every)):
        for rule in ("model", "majority", "sentiment", "over_majority", "over_sentiment"):
            figure: Interval = getattr(compared, rule)
            name = f"macro_f1_{place}" if rule == "model" else f"macro_f1_{place}_{rule}"
            metrics |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return metrics


def _macro_f1(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name.startswith("macro_f1")}


def _write_report(found: Evaluation, folder: Path) -> Path:
    folder.mkdir()
    (folder / "evaluation.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    return folder


def _run(made: ModelRegistered, handoffs: float, fitted: FittedRisk, began: int, ended: int, report: Path) -> Run:
    from headset.training.tracking import Run  # noqa: PLC0415

    return Run(
        model=MODEL,
        started=began,
        ended=ended,
        params={
            "baselines": f"{MAJORITY}; {SENTIMENT}",
            "dataset": made.dataset,
            "encoder": made.encoder_version,
            "feature_service": made.feature_service,
            "folds": str(FOLDS),
            "handoffs": str(handoffs),
            "penalty": str(fitted.penalty),
            "seed": str(made.seed),
            "vector_weight": str(VECTOR_WEIGHT),
        },
        metrics=made.metrics,
        tags=provenance(made) | {"data_position": str(made.data_position)},
        report=report,
    )


def _portable(made: ModelRegistered, artifact: Path, *, champion: bool) -> Portable:
    from headset.training.tracking import Portable  # noqa: PLC0415

    return Portable(
        code=Path(__file__).with_name("portable.py"),
        artifact=artifact,
        signature=made.signature,
        config={"feature_service": made.feature_service},
        requirements=(f"headset=={headset.__version__}",),
        alias=CHAMPION if champion else None,
        example={"features": _EXAMPLES},
    )


def _evidence(found: Evaluation) -> str:
    """One sentence: how the model compares with the baselines."""

    def told(compared: Compared) -> str:
        return f"{compared.model} against {compared.majority} and {compared.sentiment}"

    beats = "beats" if found.beaten else "does not beat"
    return (
        f"on held-out conversations it {beats} both baselines ({MAJORITY}; {SENTIMENT}): macro-F1 at the last turn"
        f" {told(found.last)}, over all turns {told(found.every)}, each with its 95 % interval"
    )


def _verdict(version: str, reigning: ModelVersion | None, found: Evaluation, gates: Mapping[str, Judged]) -> str:
    evidence = _evidence(found)
    if reigning is not None:
        told = ". ".join(f"Gate {name} {_RESULTS[each.result]}: {each.reason}" for name, each in gates.items())
        passed = all(each.result == "pass" for each in gates.values())
        step = f"'headset models promote {version} --model {MODEL} --reason ...'"
        compare = f"'headset models compare {reigning.version} {version} --model {MODEL}'"
        return (
            f"Version {version} is registered: {evidence}. {told}. Version {reigning.version} stays champion"
            + (f" until {step}. " if passed else ", because a champion gives way only to a model that passes both. ")
            + f"Compare them with {compare}."
        )
    if found.beaten:
        return f"Version {version} is the first champion: {evidence}."
    return (
        f"Version {version} is registered but serves nobody: {evidence}. Import more conversations whose end is known,"
        " and train again."
    )
