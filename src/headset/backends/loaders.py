"""What loads each kind of intent model; libraries that only one kind needs are loaded with the first of that kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.core.errors import ArtifactError
from headset.registry import hosted, onnx_artifact, scorer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from headset.core.clock import Clock
    from headset.registry.text_model import Loader, TextModel


def text_loaders(limits: hosted.Limits, clock: Clock) -> Mapping[str, Loader]:
    """A loader for each format, for :func:`headset.registry.text_model.load_text_model`.

    Args:
        limits: Of models in a process of their own.
        clock: For their deadlines.
    """
    return {
        scorer.FORMAT: scorer.Scorer.load,
        hosted.FORMAT: lambda directory: hosted.HostedModel(directory, limits, clock),
        onnx_artifact.FORMAT: _load_onnx,
    }


def _load_onnx(directory: Path) -> TextModel:
    try:
        from headset.backends.onnx import OnnxModel  # noqa: PLC0415 - an extra
    except ImportError:
        raise ArtifactError(
            f"the model in {directory} needs ONNX Runtime, which is not installed; install headset[onnx]"
        ) from None
    return OnnxModel(directory)
