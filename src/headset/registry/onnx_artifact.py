"""An ONNX classifier as files: ``model.onnx`` and a manifest that says how it is fed and read."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from headset.registry.output import Output

FORMAT = "headset-onnx/1"
FILE = "model.onnx"


class OnnxManifest(Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of an ONNX model.

    Attributes:
        format: :data:`FORMAT`.
        labels: The k intents, in the order of the columns.
        threshold: Confidence from which it answers alone; above 1 where it never does.
        output: How its numbers are read.
        answer: Name of the output that is read.
        signature: What the graph takes and gives, in MLflow's form.
        sha256: Of every file.
    """

    format: str
    labels: tuple[str, ...]
    threshold: Annotated[float, Meta(ge=0, lt=2)]
    output: Output
    answer: str
    signature: str
    sha256: dict[str, str]
