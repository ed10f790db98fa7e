"""``headset train intent``: from a data set in the log to a registered, tracked, perhaps serving version.

Everything is measured with the compiled scorer, on texts the model has not seen. Nothing is registered
before all is measured and tracked.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import asdict, replace

import headset
from headset.core.errors import NotFound
from headset.data.dataset import fingerprint, read_dataset
from headset.data.synthetic.store import read_synthetic
from headset.events.past import Past
from headset.events.schema import ModelRegistered
from headset.registry.confusion import CONFUSION, observe
from headset.registry.evidence import CHAMPION
from headset.registry.signature import TEXT_SIGNATURE
from headset.training.baseline import BASELINE, SIGNIFICANT, Comparison, compare, predict_baseline
from headset.training.compiler import compile_scorer
from headset.training.confusion import ConfusedPair, confused_pairs, draw_confusion, pairs_table
from headset.training.first_champion import tell_baseline
from headset.training.intent import Metrics, fit_intent, measure
from headset.training.plugin.learner import LIMIT_S, Learning, Trained, fit_learner
from headset.training.recipe import MODEL
from headset.training.recording import failing_early, provenance, scratch, tracker_opening
from headset.training.report import TrainingReport
from headset.training.split import check_trainable, hold_out, set_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from headset.core.clock import Clock
    from headset.data.dataset import Dataset
    from headset.data.synthetic.row import SyntheticRow
    from headset.events.log import Log
    from headset.events.vault import Vault
    from headset.features.encoder import Encoder
    from headset.registry.store import ModelVersion, Registry
    from headset.registry.text_model import TextModel
    from headset.training.recipe import IntentRequest, Recipe
    from headset.training.recording import Progress
    from headset.training.split import Split
    from headset.training.tracking import Portable, Run

SIGNATURE = TEXT_SIGNATURE
PORTABLE = Path(headset.__file__).parent / "backends" / "portable.py"
"""What MLflow runs to load an intent model; it loads any kind, so lies above this part."""
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
    code: Path | None = None,
    limit_s: float = LIMIT_S,
    encoder_file: Path | None = None,
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
        code: Folder that the recipe's learner is found in; the working directory when left out.
        limit_s: Seconds that one fit of the learner may take.
        encoder_file: Of the encoder, where it does not come with Headset; whoever loads the model from MLflow needs it.

    Raises:
        NotFound: there is no data of that name.
        InvalidInput: the data or a setting allows no training.
        StorageFailed: MLflow or the registry cannot be reached or written; nothing was registered.
    """
    began, began_s = clock.now(), clock.monotonic()
    position = log.head()
    data, synthetic, split = _read(Past(log, position), vault, request, progress)
    learned_fingerprint = _fingerprint(data, synthetic)
    progress("open MLflow", 0.0)
    with tracker_opening(home, tracking_uri) as opening, scratch(home) as folder:
        progress("open MLflow", 1.0)
        tell = failing_early(progress, opening)
        artifact = folder / "model"
        fit = _fitting(request, encoder, code or Path.cwd(), limit_s, folder, clock)
        fitted, measured, sha256 = _make(data, synthetic, split, encoder, fit, artifact, tell)
        made = ModelRegistered(
            model=request.name,
            version="",
            artifact_sha256=sha256,
            run_id="",
            dataset=request.dataset,
            data_fingerprint=learned_fingerprint,
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
        with tracker.record(run, portable(made, artifact, champion=rises, encoder=encoder_file)) as run_id:
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
        data_fingerprint=learned_fingerprint,
        rows=len(data.texts),
        synthetic_rows=len(synthetic),
        labels=list(fitted.model.labels),
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
    *,
    log: Log,
    vault: Vault,
    encoder: Encoder,
    home: Path,
    request: IntentRequest,
    clock: Clock,
    progress: Progress,
    code: Path | None = None,
) -> str:
    """Make the artifact of a request again, register nothing, and give the artifact's SHA-256 (hex).

    Args:
        log: As it was then, see :class:`headset.events.past.Past`.
        vault: Opens the texts.
        encoder: The one that was used then.
        home: Where files are in the making.
        request: What was asked for.
        clock: For the time limit of a learner.
        progress: Called with a phase and the fraction of it that is done, 0 to 1.
        code: Folder that the recipe's learner is found in; the working directory when left out.

    Raises:
        NotFound: there is no data of that name.
        InvalidInput: the data or a setting allows no training.
        StorageFailed: there is no room for the files.
    """
    data, synthetic, split = _read(log, vault, request, progress)
    with scratch(home) as folder:
        fit = _fitting(request, encoder, code or Path.cwd(), LIMIT_S, folder, clock)
        return _make(data, synthetic, split, encoder, fit, folder / "model", progress).sha256


def _read(
    log: Log, vault: Vault, request: IntentRequest, progress: Progress
) -> tuple[Dataset, tuple[SyntheticRow, ...], Split]:
    request.check()
    progress("read the data", 0.0)
    data = read_dataset(log, vault, request.dataset)
    check_trainable(data)
    synthetic = () if request.synthetic is None else read_synthetic(log, vault, request.synthetic, data)
    if request.test is None:
        split = hold_out(data, request.seed, synthetic)
    else:
        split = set_apart(data, _read_test(log, vault, request.test), synthetic)
    progress("read the data", 1.0)
    return data, synthetic, split


def _fingerprint(data: Dataset, synthetic: Sequence[SyntheticRow]) -> str:
    """Of all that is learned from."""
    if not synthetic:
        return data.fingerprint
    return fingerprint(
        [*data.texts, *(row.text for row in synthetic)], [*data.labels, *(row.label for row in synthetic)]
    )


def _fitting(
    request: IntentRequest, encoder: Encoder, code: Path, limit_s: float, folder: Path, clock: Clock
) -> Callable[..., Trained]:
    """What fits the model asked for, given texts, labels and ``progress``."""
    fit: Callable[..., Trained]
    if request.recipe.learner:
        fit = partial(fit_learner, learning=Learning(request.recipe.learner, code, limit_s, folder), clock=clock)
    else:
        fit = partial(_fit_built_in, encoder=encoder, recipe=request.recipe)
    return partial(fit, seed=request.seed, target_precision=request.target_precision)


class _Made(NamedTuple):
    """A model, its measures, and the hash of the files it was written to."""

    fitted: Trained
    measured: _Measured
    sha256: str


def _make(
    data: Dataset,
    synthetic: Sequence[SyntheticRow],
    split: Split,
    encoder: Encoder,
    fit: Callable[..., Trained],
    artifact: Path,
    tell: Progress,
) -> _Made:
    """Fit, measure, where rows were held out fit again on all, and write the files."""
    fitted = fit(split.texts, split.labels, synthetic=split.synthetic, progress=tell)
    measured = _measure(fitted.model, encoder, split, tell)
    if split.held_out:
        fitted = fit(
            data.texts,
            data.labels,
            synthetic=synthetic,
            progress=lambda phase, part: tell(f"{phase} on all texts", part),
        )
    return _Made(fitted, measured, fitted.save(artifact, {CONFUSION: measured.confusion}))


def _read_test(log: Log, vault: Vault, name: str) -> Dataset:
    try:
        return read_dataset(log, vault, name)
    except NotFound as error:
        raise NotFound("test", error.problem) from None


def _params(request: IntentRequest) -> dict[str, str]:
    recipe = {name: str(value) for name, value in asdict(request.recipe).items()}
    return recipe | {
        "seed": str(request.seed),
        "target_precision": str(request.target_precision),
        "synthetic": request.synthetic or "none",
    }


def _fit_built_in(
    texts: Sequence[str],
    labels: Sequence[str],
    encoder: Encoder,
    recipe: Recipe,
    *,
    seed: int,
    target_precision: float,
    synthetic: Sequence[SyntheticRow],
    progress: Progress,
) -> Trained:
    """The built-in model, compiled."""
    fitted = fit_intent(
        texts,
        labels,
        encoder,
        seed=seed,
        target_precision=target_precision,
        synthetic=synthetic,
        progress=progress,
        recipe=recipe,
    )
    scorer = compile_scorer(fitted)
    return Trained(scorer, fitted.temperature, fitted.metrics, scorer.save)


def _measure(scorer: TextModel, encoder: Encoder, split: Split, tell: Progress) -> _Measured:
    """What the model that will serve makes of the test rows, beside what the baseline makes of them."""
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


def _metrics(measured: _Measured, fitted: Trained) -> dict[str, float]:
    """Everything worth comparing between versions, by name."""
    unseen: dict[str, float] = asdict(fitted.metrics)
    return {
        **asdict(measured.metrics),
        "baseline_accuracy": measured.comparison.baseline_accuracy,
        "baseline_p_value": measured.comparison.p_value,
        "threshold": fitted.model.threshold,
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


def portable(made: ModelRegistered, artifact: Path, *, champion: bool, encoder: Path | None = None) -> Portable:
    """A version with its files as MLflow keeps it; ``encoder`` is the file of its encoder, where it was built here."""
    from headset.training.tracking import Portable  # noqa: PLC0415

    return Portable(
        code=PORTABLE,
        artifact=artifact,
        signature=made.signature,
        config={"encoder_version": made.encoder_version, "artifact_sha256": made.artifact_sha256},
        requirements=(f"headset{'' if encoder is None else '[onnx]'}=={headset.__version__}",),
        alias=CHAMPION if champion else None,
        example={"text": _EXAMPLES},
        encoder=encoder,
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
