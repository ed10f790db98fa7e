"""The HTTP interface: thin handlers over the services. ``/schema`` describes it (OpenAPI)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from litestar import Litestar, Request, Response, get, post
from litestar.enums import MediaType
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.params import FromPath, FromQuery, JSONBody

from headset.core.errors import InvalidInput, Overloaded
from headset.serving import inference, jobs, models
from headset.serving.guard import needs
from headset.serving.problem import answer_error
from headset.serving.request import (
    AcceptRequest,
    Decision,
    EndRequest,
    FeedbackRequest,
    OutcomeRequest,
    Receipt,
    ShownRequest,
    TurnKept,
    TurnRequest,
)
from headset.serving.transcript import Transcript, read_transcript

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from headset.serving.metrics import Metrics
    from headset.serving.service import Service

_IDENTIFIER = re.compile(r"[A-Za-z0-9._:-]{1,128}")

_CONVERSATIONS = ["conversations"]
_KEY_LIMIT = 1_000

HttpRequest = Request[Any, Any, Any]


@post("/v1/conversations/{conversation_id:str}/turns", status_code=201, guards=[needs("decide")], tags=_CONVERSATIONS)
async def take_turn(
    request: HttpRequest, conversation_id: FromPath[str], data: JSONBody[TurnRequest]
) -> Decision | TurnKept:
    """Take one turn in; a customer's turn is answered with a decision."""
    service = _service(request)
    started = service.clock.monotonic()
    decided = await service.decisions.decide(_identifier("conversation_id", conversation_id), data)
    if isinstance(decided, Decision):
        service.metrics.decided(decided, service.clock.monotonic() - started)
    return decided


@get("/v1/conversations/{conversation_id:str}", sync_to_thread=True, guards=[needs("read")], tags=_CONVERSATIONS)
def show_conversation(request: HttpRequest, conversation_id: FromPath[str]) -> Transcript:
    """Tell a conversation: turns, decisions, handoff, outcome."""
    service = _service(request)
    return read_transcript(service.log, service.vault, _identifier("conversation_id", conversation_id))


@post(
    "/v1/conversations/{conversation_id:str}/handoff/accept",
    status_code=201,
    guards=[needs("feedback")],
    tags=_CONVERSATIONS,
)
async def accept_handoff(
    request: HttpRequest, conversation_id: FromPath[str], data: JSONBody[AcceptRequest]
) -> Receipt:
    """Let an agent take a handed-off conversation; it can be taken once."""
    return await _service(request).feedback.accept(_identifier("conversation_id", conversation_id), data)


@post("/v1/conversations/{conversation_id:str}/end", status_code=201, guards=[needs("feedback")], tags=_CONVERSATIONS)
async def end_conversation(request: HttpRequest, conversation_id: FromPath[str], data: JSONBody[EndRequest]) -> Receipt:
    """Say that no more turns are expected."""
    return await _service(request).feedback.end(_identifier("conversation_id", conversation_id), data)


@post(
    "/v1/conversations/{conversation_id:str}/outcome",
    status_code=201,
    guards=[needs("feedback")],
    tags=_CONVERSATIONS,
)
async def record_outcome(
    request: HttpRequest, conversation_id: FromPath[str], data: JSONBody[OutcomeRequest]
) -> Receipt:
    """Say how a conversation turned out, in full or in part, now or days later."""
    return await _service(request).feedback.conclude(_identifier("conversation_id", conversation_id), data)


@post("/v1/decisions/{decision_id:str}/shown", status_code=201, guards=[needs("feedback")], tags=["decisions"])
async def show_suggestions(request: HttpRequest, decision_id: FromPath[str], data: JSONBody[ShownRequest]) -> Receipt:
    """Say that an agent saw the suggestions; only those count in acceptance."""
    return await _service(request).feedback.show(decision_id, data)


@post("/v1/decisions/{decision_id:str}/feedback", status_code=201, guards=[needs("feedback")], tags=["decisions"])
async def record_feedback(request: HttpRequest, decision_id: FromPath[str], data: JSONBody[FeedbackRequest]) -> Receipt:
    """Say what the agent did with a decision."""
    return await _service(request).feedback.record(decision_id, data)


@get("/v1/features", sync_to_thread=True, guards=[needs("read")], tags=["features"])
def list_features(request: HttpRequest) -> dict[str, Any]:
    """List the live feature views and services."""
    return _service(request).features.declared()


@get("/v1/features/{view:str}", sync_to_thread=True, guards=[needs("read")], tags=["features"])
def show_view(request: HttpRequest, view: FromPath[str]) -> dict[str, Any]:
    """Show one feature view with its definition."""
    return _service(request).features.view(_identifier("view", view))


@get("/v1/features/{entity:str}/{key:str}", sync_to_thread=True, guards=[needs("read")], tags=["features"])
def show_values(
    request: HttpRequest, entity: FromPath[str], key: FromPath[str], *, vectors: FromQuery[bool] = False
) -> dict[str, Any]:
    """Tell the values of all views about one entity now; views that know nothing of it are named ``unknown``."""
    return _service(request).features.values(_identifier("entity", entity), _key(key), vectors=vectors)


@get("/v1/lineage/{node:str}", sync_to_thread=True, guards=[needs("read")], tags=["features"])
def show_lineage(request: HttpRequest, node: FromPath[str]) -> Response[bytes]:
    """Tell where a decision, a model version or a feature comes from, and what depends on it."""
    return Response(_service(request).lineage(node), media_type=MediaType.JSON)


@get("/v1/kpis", sync_to_thread=True, guards=[needs("read")], tags=["monitoring"])
def show_kpis(request: HttpRequest, hours: FromQuery[float | None] = None) -> Response[bytes]:
    """Report KPIs by model version over the last ``hours`` (all time when left out)."""
    service = _service(request)
    if hours is not None and not 0 < hours <= 24 * 3660:
        raise InvalidInput("hours", f"is {hours:g}; send a number above 0 and at most {24 * 3660}")
    return Response(service.kpis(hours), media_type=MediaType.JSON)


@get("/metrics", media_type=MediaType.TEXT, tags=["operation"])
async def show_metrics(request: HttpRequest) -> Response[bytes]:
    """Technical metrics for Prometheus."""
    service = _service(request)
    service.metrics.in_progress.set(service.decisions.in_progress)
    return Response(service.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


@get("/healthz", tags=["operation"])
async def show_health() -> dict[str, str]:
    """Say that the process lives."""
    return {"status": "ok"}


@get("/readyz", tags=["operation"])
async def show_readiness(request: HttpRequest) -> dict[str, str | dict[str, str]]:
    """Say that decisions can be served by a model; 503 with the reason while they cannot.

    ``replaced`` names queues that the usual model decides in place of their own, and why.
    """
    models = _service(request).models
    model = models.default
    if model.obstacle is not None:
        raise Overloaded(model.obstacle, retry_after_s=5)
    return {"status": "ready", "model_version": model.version, "replaced": models.replaced()}


def create_api(open_service: Callable[[], Awaitable[Service]], metrics: Metrics, *, body_limit: int) -> Litestar:
    """The ASGI application.

    Args:
        open_service: Called when the server starts; what it returns is closed when the server stops.
        metrics: The service's metrics, needed before it is open.
        body_limit: Largest request body in bytes.
    """

    async def start(app: Litestar) -> None:
        app.state.service = await open_service()

    async def stop(app: Litestar) -> None:
        if "service" in app.state:
            await app.state.service.close()

    app = Litestar(
        route_handlers=[
            take_turn,
            show_conversation,
            accept_handoff,
            end_conversation,
            record_outcome,
            show_suggestions,
            record_feedback,
            list_features,
            show_view,
            show_values,
            show_lineage,
            show_kpis,
            show_metrics,
            show_health,
            show_readiness,
            *inference.HANDLERS,
            *jobs.HANDLERS,
            *models.HANDLERS,
        ],
        on_startup=[start],
        on_shutdown=[stop],
        exception_handlers={Exception: answer_error},
        openapi_config=OpenAPIConfig(
            title="Headset", version="1", path="/schema", render_plugins=[JsonRenderPlugin(path="/openapi.json")]
        ),
        request_max_body_size=body_limit,
        logging_config=None,
    )
    app.state.metrics = metrics
    return app


def _service(request: HttpRequest) -> Service:
    service: Service = request.app.state.service
    return service


def _key(value: str) -> str:
    if len(value) > _KEY_LIMIT:
        raise InvalidInput("key", f"is {len(value)} characters long; a key has at most {_KEY_LIMIT}")
    return value


def _identifier(field: str, value: str) -> str:
    if _IDENTIFIER.fullmatch(value) is None:
        raise InvalidInput(field, f"{value[:60]!r} has other characters than A-Z a-z 0-9 . _ : - or is over 128 long")
    return value
