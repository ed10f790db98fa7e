"""The Open Inference Protocol (version 2, JSON over HTTP): the champion as any inference client expects it.

These calls classify; they decide nothing and leave no trace in the log. Texts are redacted before the
model sees them, as everywhere.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from litestar import Request, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from headset.core.errors import InvalidInput, ModelFailed, NotFound, Overloaded
from headset.events.door import check_text
from headset.events.redaction import redact
from headset.serving.guard import needs
from headset.serving.prediction import CustomerTurn

if TYPE_CHECKING:
    from headset.serving.service import Model, Service

HttpRequest = Request[Any, Any, Any]
_ROW_LIMIT = 256
_ROWS_AT_ONCE = 8


class InputTensor(Struct, frozen=True):
    """One input: texts of datatype BYTES."""

    name: str
    shape: list[int]
    datatype: str
    data: Annotated[list[str], Meta(min_length=1, max_length=_ROW_LIMIT)]


class InferRequest(Struct, frozen=True):
    """The protocol's inference request, as far as texts need it."""

    inputs: Annotated[list[InputTensor], Meta(min_length=1, max_length=1)]
    id: str | None = None


class OutputTensor(Struct, frozen=True):
    """One output, one value per text."""

    name: str
    shape: list[int]
    datatype: str
    data: list[str | float]


class InferResponse(Struct, frozen=True):
    """The protocol's inference response."""

    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    id: str | None = None


@get("/v2", tags=["inference"])
async def show_server() -> dict[str, Any]:
    """Name the server and its protocol extensions."""
    return {"name": "headset", "version": "1", "extensions": []}


@get("/v2/health/live", tags=["inference"])
async def show_live() -> dict[str, bool]:
    """Say that the process lives."""
    return {"live": True}


@get("/v2/health/ready", tags=["inference"])
async def show_ready(request: HttpRequest) -> dict[str, bool]:
    """Say that a model serves."""
    model = _service(request).model
    if model.obstacle is not None:
        raise Overloaded(model.obstacle, retry_after_s=5)
    return {"ready": True}


@get("/v2/models/{name:str}", guards=[needs("decide")], tags=["inference"])
async def show_model(request: HttpRequest, name: FromPath[str]) -> dict[str, Any]:
    """Describe the model's inputs and outputs."""
    model = _model(request, name)
    return {
        "name": name,
        "versions": [model.version],
        "platform": "headset",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": "intent", "datatype": "BYTES", "shape": [-1]},
            {"name": "confidence", "datatype": "FP64", "shape": [-1]},
            {"name": "sentiment", "datatype": "FP64", "shape": [-1]},
        ],
    }


@post("/v2/models/{name:str}/infer", status_code=200, guards=[needs("decide")], tags=["inference"])
async def infer(request: HttpRequest, name: FromPath[str], data: JSONBody[InferRequest]) -> InferResponse:
    """Classify texts with the champion."""
    model = _model(request, name)
    tensor = data.inputs[0]
    if tensor.datatype != "BYTES":
        raise InvalidInput("inputs[0].datatype", f"is {tensor.datatype!r}; texts are sent as 'BYTES'")
    if tensor.shape not in ([len(tensor.data)], [len(tensor.data), 1]):
        raise InvalidInput("inputs[0].shape", f"is {tensor.shape}, but {len(tensor.data)} texts were sent")
    for row, text in enumerate(tensor.data):
        check_text(text, field=f"inputs[0].data[{row}]")
    try:
        predictions = []
        for start in range(0, len(tensor.data), _ROWS_AT_ONCE):  # decisions get their turn in between
            rows = tensor.data[start : start + _ROWS_AT_ONCE]
            predictions += await asyncio.gather(*(model.predict(CustomerTurn(redact(text).text)) for text in rows))
    except ModelFailed as error:
        raise Overloaded(str(error)) from error
    count = [len(predictions)]
    return InferResponse(
        name,
        predictions[0].model_version,
        [
            OutputTensor("intent", count, "BYTES", [prediction.intent for prediction in predictions]),
            OutputTensor("confidence", count, "FP64", [prediction.confidence for prediction in predictions]),
            OutputTensor("sentiment", count, "FP64", [prediction.sentiment for prediction in predictions]),
        ],
        data.id,
    )


HANDLERS = [show_server, show_live, show_ready, show_model, infer]


def _service(request: HttpRequest) -> Service:
    service: Service = request.app.state.service
    return service


def _model(request: HttpRequest, name: str) -> Model:
    named = _service(request).models.named
    if name not in named:
        raise NotFound("name", f"{name[:60]!r} is not served; there are: {', '.join(named)}")
    return named[name]
