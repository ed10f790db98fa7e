"""Taking a model from elsewhere into the registry: tried, measured where there is data, registered; never champion."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import asdict

from headset.core.errors import ArtifactError, InvalidInput, ModelFailed
from headset.events.schema import ModelRegistered
from headset.registry.confusion import CONFUSION, observe
from headset.registry.output import Output
from headset.registry.signature import TEXT_SIGNATURE
from headset.training.calibration import NEVER, assign_folds, choose_threshold, precision_by_label
from headset.training.intent import measure_answers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from headset.data.dataset import Dataset
    from headset.features.encoder import Encoder
    from headset.registry.output import Gives
    from headset.registry.text_model import TextModel
    from headset.training.recording import Progress

_TRIED = ("Where is my card?", "", "\u00fc \U0001f600 \u0637", "word " * 500)
_BATCH = 256
_FEWEST_TEXTS = 20
_LABELS = msgspec.json.Decoder(tuple[str, ...])
_LABELS_LIMIT = 5_000


class ImportRequest(Struct, frozen=True, kw_only=True, tag="import", tag_field="model"):
    """All that is asked for when a model is imported.

    Attributes:
        name: The model it becomes a version of.
        source: Where it comes from: a path, or an MLflow URI.
        labels: The intents, where the files do not name them.
        dataset: Name of the data to measure it on; None registers it unmeasured.
        target_precision: Share of texts above the threshold whose intent should be right.
        seed: Decides which half of the data chooses the threshold.
        trust_pickle: Why pickles in it may be loaded; empty where none may.
    """

    name: str
    source: str
    labels: tuple[str, ...] = ()
    dataset: str | None = None
    target_precision: float = 0.95
    seed: int = 0
    trust_pickle: str = ""


class ImportReport(Struct, frozen=True):
    """What was imported."""

    model: str
    version: str
    source: str
    labels: list[str]
    metrics: dict[str, float]
    artifact_sha256: str
    trusted_pickle: str
    verdict: str


class Draft(Protocol):
    """Files that are about to become an artifact.

    Attributes:
        folder: Where they are.
        labels: The intents, where the files name them; else empty.
        gives: What the model answers.
    """

    folder: Path
    labels: tuple[str, ...]
    gives: Gives

    def write(self, labels: tuple[str, ...], threshold: float, output: Output) -> str:
        """Write the manifest, and give its SHA-256 (hex)."""
        ...


class Imported(Struct, frozen=True):
    """An artifact that was tried, and how good it is."""

    artifact_sha256: str
    labels: tuple[str, ...]
    metrics: dict[str, float]


def read_labels(path: Path) -> tuple[str, ...]:
    """The labels of a model, from a JSON array of strings in the order of its columns.

    Raises:
        InvalidInput: there is no such file, or it holds anything else.
    """
    try:
        labels = _LABELS.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise InvalidInput("labels", f"{path} is no JSON array of strings ({error}); write one") from None
    _check_labels(labels, str(path))
    return labels


def complete(
    draft: Draft,
    request: ImportRequest,
    data: Dataset | None,
    *,
    encoder: Encoder,
    load: Callable[[Path], TextModel],
    progress: Progress,
) -> Imported:
    """Find out how a draft is read, try it, measure it, and write its manifest.

    Confidence is taken as the model gives it. Half of the data choose the threshold (and say how often each label is
    right, where the model gives labels alone); the other half measure.

    Raises:
        InvalidInput: it is not known which labels it has, it fails, or it gives no usable answer.
    """
    labels = request.labels or draft.labels or (tuple(sorted(set(data.labels))) if data is not None else ())
    if not labels:
        raise InvalidInput("labels", f"of {request.source} are not known; give --labels labels.json, or --data NAME")
    _check_labels(labels, request.source)
    if draft.gives == "label" and data is None:
        raise InvalidInput(
            "data",
            f"is needed: {request.source} gives labels without a confidence; --data NAME says how often it is right",
        )
    if data is not None and len(data.texts) < _FEWEST_TEXTS:
        raise InvalidInput(
            "data", f"has {len(data.texts)} labelled texts; at least {_FEWEST_TEXTS} are needed; label more"
        )
    progress("try", 0.0)
    trial = Output(draft.gives, precision=(0.5,) * len(labels) if draft.gives == "label" else ())
    try:
        gives, model = _tried(draft, labels, trial, encoder, load)
        progress("try", 1.0)
        output = Output(gives, precision=trial.precision)
        if data is None:
            return Imported(draft.write(labels, NEVER, output), labels, {"threshold": NEVER})
        predicted, confidence = _score(model, data, encoder, progress)
    except (ModelFailed, ArtifactError) as error:
        raise InvalidInput("model", f"{request.source}: {error}") from None
    truth, width = _truth(labels, data)
    halves = assign_folds(data.texts, data.labels, 2, np.random.Generator(np.random.PCG64(request.seed)))
    first, second = np.flatnonzero(halves == 0), np.flatnonzero(halves == 1)
    if gives == "label":
        output = Output(gives, precision=precision_by_label(predicted[first], truth[first], len(labels)))
        each = output.scores(np.eye(len(labels)), rows=len(labels), labels=len(labels)).probabilities
        confidence = each.max(axis=1)[predicted]
    threshold = choose_threshold(confidence[first], (predicted == truth)[first], request.target_precision)
    metrics = asdict(measure_answers(predicted[second], confidence[second], truth[second], threshold, labels=width))
    seen = observe(
        labels,
        [data.labels[row] for row in second],
        [labels[predicted[row]] for row in second],
        confidence[second],
        threshold,
    )
    (draft.folder / CONFUSION).write_bytes(msgspec.json.encode(seen))
    return Imported(draft.write(labels, threshold, output), labels, metrics | {"threshold": threshold})


def measured(model: TextModel, data: Dataset, encoder: Encoder, progress: Progress) -> dict[str, float]:
    """How good a model is that is complete already, threshold included."""
    truth, width = _truth(model.labels, data)
    predicted, confidence = _score(model, data, encoder, progress)
    return asdict(measure_answers(predicted, confidence, truth, model.threshold, labels=width))


def _truth(labels: tuple[str, ...], data: Dataset) -> tuple[NDArray[np.int_], int]:
    """(n,) true columns, and how many there are: labels that the model does not know follow those it knows."""
    unknown = sorted(set(data.labels) - set(labels))
    place = {label: column for column, label in enumerate([*labels, *unknown])}
    return np.array([place[label] for label in data.labels]), len(place)


def registered(
    request: ImportRequest, imported: Imported, data: Dataset | None, *, encoder_version: str, position: int
) -> ModelRegistered:
    """What is put on record: it was not trained here, so says where it came from instead."""
    return ModelRegistered(
        model=request.name,
        version="",
        artifact_sha256=imported.artifact_sha256,
        run_id="",
        dataset="imported",
        data_fingerprint="" if data is None else data.fingerprint,
        commit="unknown",
        seed=request.seed,
        metrics=imported.metrics,
        encoder_version=encoder_version,
        signature=TEXT_SIGNATURE,
        data_position=position,
        request=msgspec.json.encode(request).decode(),
    )


def _tried(
    draft: Draft, labels: tuple[str, ...], output: Output, encoder: Encoder, load: Callable[[Path], TextModel]
) -> tuple[Gives, TextModel]:
    """What it turns out to give, and the model, once it has answered a few texts."""
    texts = list(_TRIED)
    embeddings = encoder.encode(texts)
    if draft.gives == "margins":
        draft.write(labels, NEVER, Output("probabilities"))
        with suppress(ModelFailed):  # any numbers may be margins; those that sum to one are probabilities
            model = load(draft.folder)
            model.score(texts, embeddings)
            return "probabilities", model
    draft.write(labels, NEVER, output)
    model = load(draft.folder)
    model.score(texts, embeddings)
    return draft.gives, model


def _score(
    model: TextModel, data: Dataset, encoder: Encoder, progress: Progress
) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
    """(n,) columns of the answers, and (n,) how sure it is of each."""
    predicted, confidence = np.empty(len(data.texts), np.int_), np.empty(len(data.texts))
    for start in range(0, len(data.texts), _BATCH):
        progress("measure", start / len(data.texts))
        texts = data.texts[start : start + _BATCH]
        found = model.score(texts, encoder.encode(texts)).probabilities
        predicted[start : start + _BATCH], confidence[start : start + _BATCH] = found.argmax(axis=1), found.max(axis=1)
    progress("measure", 1.0)
    return predicted, confidence


def _check_labels(labels: tuple[str, ...], source: str) -> None:
    if not 2 <= len(labels) <= _LABELS_LIMIT or len(set(labels)) != len(labels) or "" in labels:
        raise InvalidInput(
            "labels",
            f"of {source} are {len(labels)}, {len(set(labels))} of them distinct; 2 to {_LABELS_LIMIT} distinct"
            " names are needed",
        )
