"""Signatures: the columns a model takes and gives, in the form MLflow keeps them in."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import Struct

from headset.core.errors import ArtifactError


class Tensor(Struct, frozen=True):
    """An array: its numpy type, and its shape with -1 where any length fits."""

    dtype: str
    shape: tuple[int, ...]


class Column(Struct, frozen=True, rename={"tensor": "tensor-spec"}):
    """One input or output.

    Attributes:
        type: MLflow's name of a type, such as ``string`` or ``double``; ``tensor`` for an array.
        name: Empty where the column has none.
        required: Whether every row must have it.
        tensor: Of which kind, for an array.
    """

    type: str | dict[str, Any]
    name: str | int = ""
    required: bool = True
    tensor: Tensor | None = None

    def __str__(self) -> str:
        kind = f"{self.tensor.dtype}{list(self.tensor.shape)}" if self.tensor else str(self.type)
        return f"{self.name}: {kind}" if self.name != "" else kind


class Signature(Struct, frozen=True):
    """What goes in and what comes out.

    >>> print(read_signature(TEXT_SIGNATURE))
    (text: string) -> (intent: string, confidence: double, in_scope: double, automatic: boolean)
    """

    inputs: tuple[Column, ...]
    outputs: tuple[Column, ...]

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.inputs))}) -> ({', '.join(map(str, self.outputs))})"


class _Written(Struct, frozen=True):
    """MLflow's form: JSON within JSON."""

    inputs: str | None = None
    outputs: str | None = None


_WRITTEN = msgspec.json.Decoder(_Written)
_COLUMNS = msgspec.json.Decoder(tuple[Column, ...])


def write_signature(inputs: tuple[Column, ...], outputs: tuple[Column, ...]) -> str:
    """A signature in MLflow's form."""

    def written(columns: tuple[Column, ...]) -> str:
        return json.dumps([_builtins(column) for column in columns])

    return json.dumps({"inputs": written(inputs), "outputs": written(outputs), "params": None})


def _builtins(column: Column) -> dict[str, Any]:
    if column.tensor is not None:
        named = {"name": column.name} if column.name != "" else {}
        return named | {"type": "tensor", "tensor-spec": msgspec.to_builtins(column.tensor)}
    return {"type": column.type, "name": column.name, "required": column.required}


def read_signature(text: str) -> Signature:
    """A signature from MLflow's form.

    Raises:
        ArtifactError: it is none, or lacks its inputs or outputs.
    """
    try:
        written = _WRITTEN.decode(text)
        if written.inputs is None or written.outputs is None:
            missing = "inputs" if written.inputs is None else "outputs"
            raise ArtifactError(f"the signature names no {missing}; log the model with both")
        return Signature(_COLUMNS.decode(written.inputs), _COLUMNS.decode(written.outputs))
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ArtifactError(f"the signature {text[:80]!r} cannot be read ({error}); log the model with one") from None


def check_signature(recorded: str, found: str, what: str) -> None:
    """Refuse a model that takes or gives other columns than are on record.

    Args:
        recorded: What is promised, in MLflow's form.
        found: What the model takes and gives, in the same form.
        what: Names the model in the message.

    Raises:
        ArtifactError: they differ; both are named.
    """
    promised, real = read_signature(recorded), read_signature(found)
    if promised != real:
        raise ArtifactError(
            f"{what} takes and gives {real}, its signature on record is {promised}; register it again with its own"
        )


TEXT_SIGNATURE = write_signature(
    (Column("string", "text"),),
    (
        Column("string", "intent"),
        Column("double", "confidence"),
        Column("double", "in_scope"),
        Column("boolean", "automatic"),
    ),
)
"""Of every intent model, whatever its files are."""
