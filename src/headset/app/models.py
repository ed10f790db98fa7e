"""Registered intent models: loaded, brought in from elsewhere, written out for others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headset.core.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from headset.app.installation import Installation
    from headset.registry.store import ModelVersion
    from headset.registry.text_model import Loader, TextModel
    from headset.training.plugin.model_import import Draft, ImportReport, ImportRequest

_IMPORT_ANSWER_S = 60.0
_ONNX_LIMIT = 1_000_000_000


def text_model(parts: Installation, known: ModelVersion, *, answer_s: float = 30.0) -> TextModel:
    """A registered intent model, ready to score; one that runs in a process of its own has ``answer_s`` per call.

    Raises:
        ArtifactError: its files are not those registered, or take and give something else.
        ModelFailed: it cannot be loaded.
    """
    from headset.registry.text_model import load_text_model

    return load_text_model(
        parts.registry.artifact(known.model, known.version),
        _text_loaders(parts, answer_s),
        recorded=known.made.artifact_sha256,
        signature=known.made.signature,
    )


def import_model(
    parts: Installation, request: ImportRequest, *, progress: Callable[[str, float], None]
) -> ImportReport:
    """Register a model from elsewhere: an MLflow model, by its folder or URI, or an ONNX file.

    Raises:
        InvalidInput: it is none, holds what may not be loaded, or gives no usable answer.
        StorageFailed: the MLflow store or the registry cannot be reached; nothing was registered.
    """
    from headset.data.dataset import check_dataset, read_dataset

    if request.dataset is not None:
        check_dataset(parts.log, request.dataset)
    from headset.registry.text_model import load_text_model
    from headset.training.plugin.model_import import Imported, ImportReport, complete, measured, registered
    from headset.training.recording import scratch

    loaders, encoder_version = _text_loaders(parts, _IMPORT_ANSWER_S), parts.encoder.version
    position = parts.log.head()
    data = None if request.dataset is None else read_dataset(parts.log, parts.vault, request.dataset)
    with scratch(parts.config.home) as folder:
        draft, own = _draft(parts, request, folder)
        if own is None:
            imported = complete(
                draft,
                request,
                data,
                encoder=parts.encoder,
                load=lambda place: load_text_model(place, loaders),
                progress=progress,
            )
        else:
            encoder_version, recorded = own
            model = load_text_model(draft.folder, loaders, recorded=recorded)
            metrics = (
                {}
                if data is None
                else measured(model, data, parts.encoders.named(encoder_version, request.source), progress)
            )
            imported = Imported(recorded, model.labels, metrics | {"threshold": model.threshold})
        made = registered(request, imported, data, encoder_version=encoder_version, position=position)
        version = parts.registry.register(made, draft.folder).version
    return ImportReport(
        request.name,
        version,
        request.source,
        list(imported.labels),
        imported.metrics,
        imported.artifact_sha256,
        request.trust_pickle,
        f"Version {version} of {request.name!r} is registered and serves nobody: a version becomes champion only"
        " once it has passed validation.",
    )


def _draft(parts: Installation, request: ImportRequest, folder: Path) -> tuple[Draft, tuple[str, str] | None]:
    """The files of an import, and what is on record where Headset exported them itself."""
    from headset.training.plugin.mlflow_draft import MlflowDraft

    source, place = request.source, folder / "model"
    place.mkdir()
    if source.startswith(("models:/", "runs:/")):
        from headset.training.recording import tracker_opening

        with tracker_opening(parts.config.home, parts.config.tracking_uri) as opening:
            path = opening.result().fetch(source, folder)
    else:
        path = Path(source)
    if path.is_dir():
        draft = MlflowDraft(path, place, request.trust_pickle)
        return draft, draft.unwrap()
    if path.suffix != ".onnx" or not path.is_file():
        raise InvalidInput(
            "path", f"{source} is neither a folder with an MLflow model, nor models:/… or runs:/…, nor a .onnx file"
        )
    size = path.stat().st_size
    if size > _ONNX_LIMIT:
        raise InvalidInput("path", f"{path} has {size} bytes, an ONNX model may have {_ONNX_LIMIT}")
    try:
        from headset.backends.onnx import OnnxDraft
    except ImportError:
        raise InvalidInput("path", f"{path} needs ONNX Runtime; install headset[onnx]") from None
    return OnnxDraft(path.read_bytes(), place, str(path)), None


def export_model(parts: Installation, known: ModelVersion, to: Path) -> None:
    """Write an intent version as an MLflow model into the folder ``to``, which is not there yet.

    Raises:
        InvalidInput: the folder is there, or the version is no intent model.
        ArtifactError: the version's files are not those registered, or its encoder is not here.
    """
    from headset.registry.signature import TEXT_SIGNATURE

    if to.exists():
        raise InvalidInput("path", f"{to} is there already; name a new folder")
    if known.made.signature != TEXT_SIGNATURE:
        raise InvalidInput(
            "version", f"{known.version} of {known.model!r} is no intent model, only those are exported so far"
        )
    folder = verified_folder(parts, known)
    from headset.training.intent_job import portable
    from headset.training.tracking import save_model

    encoder = parts.encoders.file(parts.encoders.of(known).version)
    save_model(portable(known.made, folder, champion=False, encoder=encoder), to)


def verified_folder(parts: Installation, known: ModelVersion) -> Path:
    """The files of a registered version, as they were registered.

    Raises:
        ArtifactError: they are others.
    """
    from headset.registry.artifact import check_recorded, read_sealed, verify_folder

    folder = parts.registry.artifact(known.model, known.version)
    check_recorded(folder, known.made.artifact_sha256)
    verify_folder(folder, read_sealed(folder).sha256)
    return folder


def _text_loaders(parts: Installation, answer_s: float) -> Mapping[str, Loader]:
    from headset.backends.loaders import text_loaders
    from headset.registry.hosted import Limits

    return text_loaders(Limits(answer_s, parts.config.decision.hosted_memory_mb * 1_000_000), parts.clock)
