"""``headset train intent``: from a data set in the log to a registered, tracked, perhaps serving version.

Everything is measured with the compiled scorer, on texts the model has not seen. Nothing is registered
before all is measured and tracked.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import asdict, replace

import headset
from headset.core.errors import NotFound
from headset.data.dataset import read_dataset
from headset.events.schema import ModelRegistered
from headset.registry.confusion import CONFUSION
from headset.registry.evidence import CHAMPION
from headset.training.baseline import BASELINE, SIGNIFICANT, Comparison, compare, predict_baseline
from headset.training.compiler import compile_scorer
from headset.training.confusion import ConfusedPair, confused_pairs, draw_confusion, observe, pairs_table
from headset.training.first_champion import tell_baseline
from headset.training.intent import Metrics, fit_intent, measure
from headset.training.recipe import MODEL
from headset.training.recording import failing_early, provenance, scratch, tracker_opening
from headset.training.report import TrainingReport
from headset.training.split import check_trainable, hold_out, set_apart

if TYPE_CHECKING:
    from headset.core.clock import Clock
    from headset.data.dataset import Dataset
    from headset.events.log import Log
    from headset.events.vault import Vault
    from headset.features.encoder import Encoder
    from headset.registry.scorer import Scorer
    from headset.registry.store import ModelVersion, Registry
    from headset.training.intent import FittedIntent
    from headset.training.recipe import IntentRequest
    from headset.training.recording import Progress
    from headset.training.split import Split
    from headset.training.tracking import Portable, Run

SIGNATURE = json.dumps(
    {
        "inputs": json.dumps([{"type": "string", "name": "text", "required": True}]),
        "outputs": json.dumps(
            [
                {"type": kind, "name": name, "required": True}
                for name, kind in (
                    ("intent", "string"),
                    ("confidence", "double"),
                    ("in_scope", "double"),
                    ("automatic", "boolean"),
                )
            ]
        ),
        "params": None,
    }
)
"""What goes in and comes out, in the form MLflow keeps signatures in."""

_BATCH = 256
_EXAMPLES = ["Where is my card?", "I want to speak to a person."]
_PAIRS_REPORTED = 20


class _Measured(Struct, frozen=True):
    """What the test rows say of a model."""

    predicted: list[str]
    confused: list[ConfusedPair]
    confusion: bytes  # as JSON
    metrics: Metrics
    comparison: Comparison


def train_intent(  # noqa: PLR0913 - stores, clock, randomness and settings come in as arguments
    *,
    log: Log,
    vault: Vault,
    registry: Registry,
    encoder: Encoder,
    home: Path,
    tracking_uri: str,
    request: IntentRequest,
    clock: Clock,
    commit: str,
    progress: Progress,
) -> TrainingReport:
    """Train an intent model, measure it, track the run, register the version.

    The version becomes champion when there is none yet and it beats the baseline.

    Args:
        log: Holds the data.
        vault: Opens the texts.
        registry: Takes the version in.
        encoder: Embeds texts.
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
    position = log.head()
    data, split = _read(log, vault, request, progress)
    progress("open MLflow", 0.0)
    with tracker_opening(home, tracking_uri) as opening, scratch(home) as folder:
        progress("open MLflow", 1.0)
        tell = failing_early(progress, opening)
        artifact = folder / "model"
        scorer, fitted, measured, sha256 = _make(data, split, encoder, request, artifact, tell)
        made = ModelRegistered(
            model=request.name,
            version="",
            artifact_sha256=sha256,
            run_id="",
            dataset=request.dataset,
            data_fingerprint=data.fingerprint,
            commit=commit,
            seed=request.seed,
            metrics=_metrics(measured, fitted),
            encoder_version=encoder.version,
            signature=SIGNATURE,
            data_position=position,
            request=msgspec.json.encode(request).decode(),
        )
        tell("track", 0.0)
        tracker = opening.result()
        reigning = registry.champion(request.name)
        rises = reigning is None and measured.comparison.beaten
        settings = _params(request) | {"tested_on": split.test_name}
        run = _run(made, settings, began, clock.now(), _write_report(split, measured, folder / "report"))
        with tracker.record(run, _portable(made, artifact, champion=rises)) as run_id:
            tell("track", 1.0)
            tell("register", 0.0)
            known = registry.register(replace(made, run_id=run_id), artifact)
            rises = tell_baseline(
                registry,
                known,
                beaten=measured.comparison.beaten,
                reason=_evidence(measured, split),
                evidence=asdict(measured.comparison),
            )
            reigning = reigning or (None if rises else registry.champion(request.name))  # another may have been first
            tell("register", 1.0)
    return TrainingReport(
        model=request.name,
        version=known.version,
        champion=rises,
        verdict=_verdict(known, reigning, measured, split),
        dataset=request.dataset,
        data_fingerprint=data.fingerprint,
        rows=len(data.texts),
        labels=list(scorer.labels),
        tested_on=split.test_name,
        test_rows=len(split.test_texts),
        refitted=split.held_out,
        metrics=made.metrics,
        baseline=BASELINE,
        comparison=measured.comparison,
        confused=measured.confused[:_PAIRS_REPORTED],
        artifact_sha256=made.artifact_sha256,
        run_id=run_id,
        tracking_uri=tracker.uri,
        commit=commit,
        seed=request.seed,
        duration_s=clock.monotonic() - began_s,
    )


def repeat_intent(
    *, log: Log, vault: Vault, encoder: Encoder, home: Path, request: IntentRequest, progress: Progress
) -> str:
    """Make the artifact of a request again, register nothing, and give the artifact's SHA-256 (hex).

    Args:
        log: As it was then, see :class:`headset.events.past.Past`.
        vault: Opens the texts.
        encoder: The one that was used then.
        home: Where files are in the making.
        request: What was asked for.
        progress: Called with a phase and the fraction of it that is done, 0 to 1.

    Raises:
        NotFound: there is no data of that name.
        InvalidInput: the data or a setting allows no training.
        StorageFailed: there is no room for the files.
    """
    data, split = _read(log, vault, request, progress)
    with scratch(home) as folder:
        return _make(data, split, encoder, request, folder / "model", progress).sha256


def _read(log: Log, vault: Vault, request: IntentRequest, progress: Progress) -> tuple[Dataset, Split]:
    request.check()
    progress("read the data", 0.0)
    data = read_dataset(log, vault, request.dataset)
    check_trainable(data)
    if request.test is None:
        split = hold_out(data, request.seed)
    else:
        split = set_apart(data, _read_test(log, vault, request.test))
    progress("read the data", 1.0)
    return data, split


class _Made(NamedTuple):
    """A model, its measures, and the hash of the files it was written to."""

    scorer: Scorer
    fitted: FittedIntent
    measured: _Measured
    sha256: str


def _make(
    data: Dataset, split: Split, encoder: Encoder, request: IntentRequest, artifact: Path, tell: Progress
) -> _Made:
    """Fit, measure, where rows were held out fit again on all, and write the files."""
    fit = partial(
        fit_intent,
        encoder=encoder,
        seed=request.seed,
        target_precision=request.target_precision,
        recipe=request.recipe,
    )
    fitted = fit(split.texts, split.labels, progress=tell)
    measured = _measure(compile_scorer(fitted), encoder, split, tell)
    if split.held_out:
        fitted = fit(data.texts, data.labels, progress=lambda phase, part: tell(f"{phase} on all texts", part))
    scorer = compile_scorer(fitted)
    return _Made(scorer, fitted, measured, scorer.save(artifact, {CONFUSION: measured.confusion}))


def _read_test(log: Log, vault: Vault, name: str) -> Dataset:
    try:
        return read_dataset(log, vault, name)
    except NotFound as error:
        raise NotFound("test", error.problem) from None


def _params(request: IntentRequest) -> dict[str, str]:
    recipe = {name: str(value) for name, value in asdict(request.recipe).items()}
    return recipe | {"seed": str(request.seed), "target_precision": str(request.target_precision)}


def _measure(scorer: Scorer, encoder: Encoder, split: Split, tell: Progress) -> _Measured:
    """What the compiled scorer makes of the test rows, beside what the baseline makes of them."""
    tell("measure", 0.0)
    labels = [*scorer.labels, *sorted(set(split.test_labels) - set(scorer.labels))]
    probabilities = np.zeros((len(split.test_texts), len(labels)))  # intents it has not learned stay at 0
    for start in range(0, len(probabilities), _BATCH):
        texts = split.test_texts[start : start + _BATCH]
        probabilities[start : start + _BATCH, : len(scorer.labels)] = scorer.score(
            texts, encoder.encode(texts)
        ).probabilities
    predicted = [labels[column] for column in probabilities.argmax(axis=1)]
    tell("measure", 0.5)
    plain = predict_baseline(split.texts, split.labels, split.test_texts)
    truth = np.array(split.test_labels)
    comparison = compare(np.array(predicted) == truth, np.array(plain) == truth)
    place = {label: column for column, label in enumerate(labels)}
    metrics = measure(probabilities, np.array([place[label] for label in split.test_labels]), scorer.threshold)
    confusion = observe(scorer.labels, split.test_labels, predicted, probabilities.max(axis=1), scorer.threshold)
    tell("measure", 1.0)
    pairs = confused_pairs(split.test_labels, predicted)
    return _Measured(predicted, pairs, msgspec.json.encode(confusion), metrics, comparison)


def _metrics(measured: _Measured, fitted: FittedIntent) -> dict[str, float]:
    """Everything worth comparing between versions, by name."""
    unseen: dict[str, float] = asdict(fitted.metrics)
    return {
        **asdict(measured.metrics),
        "baseline_accuracy": measured.comparison.baseline_accuracy,
        "baseline_p_value": measured.comparison.p_value,
        "threshold": fitted.threshold,
        "temperature": fitted.temperature,
        **{f"out_of_fold_{name}": value for name, value in unseen.items()},
    }


def _write_report(split: Split, measured: _Measured, folder: Path) -> Path:
    folder.mkdir()
    (folder / "confusion.png").write_bytes(draw_confusion(split.test_labels, measured.predicted))
    (folder / CONFUSION).write_bytes(measured.confusion)
    (folder / "confused_pairs.csv").write_text(pairs_table(measured.confused), "utf-8")
    return folder


def _run(made: ModelRegistered, settings: dict[str, str], began: int, ended: int, report: Path) -> Run:
    from headset.training.tracking import Run  # noqa: PLC0415

    return Run(
        model=made.model,
        started=began,
        ended=ended,
        params=settings
        | {
            "baseline": BASELINE,
            "dataset": made.dataset,
            "encoder_version": made.encoder_version,
        },
        metrics=made.metrics,
        tags=provenance(made),
        report=report,
    )


def _portable(made: ModelRegistered, artifact: Path, *, champion: bool) -> Portable:
    from headset.training.tracking import Portable  # noqa: PLC0415

    return Portable(
        code=Path(__file__).with_name("portable.py"),
        artifact=artifact,
        signature=made.signature,
        config={"encoder_version": made.encoder_version},
        requirements=(f"headset=={headset.__version__}",),
        alias=CHAMPION if champion else None,
        example={"text": _EXAMPLES},
    )


def _evidence(measured: _Measured, split: Split) -> str:
    """One sentence: how the model compares with the baseline."""
    comparison = measured.comparison
    beats = "beats" if comparison.beaten else "does not beat"
    return (
        f"accuracy {comparison.accuracy:.4f} (95 % interval {measured.metrics.accuracy_low:.4f} to"
        f" {measured.metrics.accuracy_high:.4f}) on {len(split.test_texts)} texts ({split.test_name}) {beats}"
        f" {comparison.baseline_accuracy:.4f} of the baseline ({BASELINE}): exact McNemar p = {comparison.p_value:.2g},"
        f" limit {SIGNIFICANT}"
    )


def _verdict(made: ModelVersion, reigning: ModelVersion | None, measured: _Measured, split: Split) -> str:
    evidence, version = _evidence(measured, split), made.version
    if reigning is not None:
        named = "" if made.model == MODEL else f" --model {made.model}"
        return (
            f"Version {version} is registered: {evidence}. Version {reigning.version} stays champion, because a"
            " champion gives way only to a model that passed validation. Compare them with"
            f" 'headset models compare {reigning.version} {version}{named}'."
        )
    if measured.comparison.beaten:
        return f"Version {version} is the first champion: {evidence}."
    return (
        f"Version {version} is registered but serves nobody: {evidence}. Import more texts of the intents it"
        " confuses, or measure on more texts with --test, and train again."
    )
