"""Which of an MLflow model's columns is the text, and which are the intent and how sure the model is of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from headset.core.errors import InvalidInput
from headset.registry.output import Gives

if TYPE_CHECKING:
    from headset.registry.signature import Column, Signature

_NUMBERS = {"double", "float"}
_LABELS = ("intent", "label", "prediction")
_CONFIDENCES = ("confidence", "probability", "score")


class Columns(Struct, frozen=True):
    """Where things are.

    Attributes:
        text: Name of the input; empty where it has none.
        is_array: Whether it takes an array of texts rather than a column.
        gives: What comes out.
        label: Name of the output with the intent; empty where it has none.
        confidence: Name of the output that says how sure it is.
        labels: The intents, where each has a column of its own.
    """

    text: str | int
    is_array: bool
    gives: Gives
    label: str | int = ""
    confidence: str | int = ""
    labels: tuple[str, ...] = ()


def columns_of(signature: Signature) -> Columns:
    """Find the columns in a signature.

    Raises:
        InvalidInput: there is not one text going in, or neither an intent nor probabilities come out.
    """
    texts = [column for column in signature.inputs if _is_text(column)]
    if len(texts) != 1 or any(column.required for column in signature.inputs if column is not texts[0]):
        raise _refused(signature)
    text, is_array = texts[0].name, texts[0].tensor is not None
    outputs = signature.outputs
    labels = [column for column in outputs if _is_text(column)]
    if not labels and len(outputs) == 1 and outputs[0].tensor is not None:
        tensor = outputs[0].tensor
        if tensor.dtype.startswith("float") and len(tensor.shape) == 2:
            return Columns(text, is_array, "probabilities")
    if not labels and len(outputs) > 1 and all(column.type in _NUMBERS and column.name != "" for column in outputs):
        return Columns(text, is_array, "probabilities", labels=tuple(str(column.name) for column in outputs))
    named = [column for column in labels if column.name in _LABELS] or labels
    if len(named) != 1:
        raise _refused(signature)
    sure = [column for column in outputs if column.type in _NUMBERS and column.name in _CONFIDENCES]
    if sure:
        return Columns(text, is_array, "confidence", named[0].name, sure[0].name)
    return Columns(text, is_array, "label", named[0].name)


def _is_text(column: Column) -> bool:
    if column.tensor is not None:
        return column.tensor.dtype in {"str", "object"} and column.tensor.shape == (-1,)
    return column.type == "string"


def _refused(signature: Signature) -> InvalidInput:
    return InvalidInput(
        "signature",
        f"is {str(signature)[:300]}; one string column goes in, and out come a string column"
        f" ({', '.join(_LABELS)}), perhaps with a double column ({', '.join(_CONFIDENCES)}),"
        " or a double column for each intent, or an array of probabilities",
    )
