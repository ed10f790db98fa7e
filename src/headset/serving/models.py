"""The registry over HTTP: what versions there are, what is on record of them, and changes, each with who and why."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal

from litestar import Request, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta, Struct, to_builtins

from headset.events.schema import Actor, AttemptRefused
from headset.serving.guard import needs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler

    from headset.registry.journal import Action
    from headset.serving.keys import Scope
    from headset.serving.service import Service

HttpRequest = Request[Any, Any, Any]
Text = Annotated[str, Meta(min_length=1, max_length=2_000)]
Version = Annotated[str, Meta(min_length=1, max_length=64)]

_TAGS = ["models"]


class PromoteRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Point an alias at a version."""

    version: Version
    reason: Text
    alias: Literal["champion", "candidate", "shadow"] = "champion"


class RollbackRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Make an earlier champion serve again; the one before when no version is named."""

    reason: Text
    version: Version | None = None


class WaiverRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Ask that a version may become champion without one gate."""

    version: Version
    gate: Version
    reason: Text
    days: float = 7.0


class WithdrawRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """End a waiver."""

    reason: Text


def _changes(
    action: Action, scope: Scope = "admin"
) -> Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]:
    """A guard that lets a person with ``scope`` pass, and keeps on record whom it refused."""

    async def check(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        service: Service = connection.app.state.service
        secret = service.bearer(connection.headers.get("authorization"))
        attempt = AttemptRefused(
            action=action,
            model=connection.path_params["model"],
            version="",
            by=Actor(person="", path="http"),
            why="",
            detail=connection.path_params.get("waiver_id", ""),
        )
        connection.state.actor = await asyncio.to_thread(service.people.by_key, secret, scope, attempt)

    return check


@get("/v1/models", sync_to_thread=True, guards=[needs("read")], tags=_TAGS)
def list_models(request: HttpRequest) -> dict[str, Any]:
    """List all model versions, newest first, with aliases, metrics, gates, and what keeps them from being champion."""
    return {"models": to_builtins(_service(request).registry.versions())}


@get("/v1/models/{model:str}/{version:str}", sync_to_thread=True, guards=[needs("read")], tags=_TAGS)
def show_model(request: HttpRequest, model: FromPath[str], version: FromPath[str]) -> dict[str, Any]:
    """Show one version, by number or alias, with its waivers and its model card."""
    registry = _service(request).registry
    known = registry.get(model, version)
    told: dict[str, Any] = to_builtins(known)
    waivers, card = registry.waivers.of(model, known.version), registry.card(model, known.version)
    return told | {"waivers": to_builtins(waivers), "card": to_builtins(card)}


@post("/v1/models/{model:str}/promote", sync_to_thread=True, guards=[_changes("promote")], tags=_TAGS)
def promote_model(request: HttpRequest, model: FromPath[str], data: JSONBody[PromoteRequest]) -> dict[str, Any]:
    """Point an alias at a version; ``champion`` only for evidence on record."""
    registry, by = _service(request).registry, request.state.actor
    known = registry.promote(model, data.version, data.alias, by=by, reason=data.reason)
    return {"model": to_builtins(known)}


@post("/v1/models/{model:str}/rollback", sync_to_thread=True, guards=[_changes("rollback")], tags=_TAGS)
def roll_back_model(request: HttpRequest, model: FromPath[str], data: JSONBody[RollbackRequest]) -> dict[str, Any]:
    """Make an earlier champion serve again, at once."""
    known = _service(request).registry.rollback(model, data.version, by=request.state.actor, reason=data.reason)
    return {"model": to_builtins(known)}


@post("/v1/models/{model:str}/waivers", sync_to_thread=True, guards=[_changes("waive")], tags=_TAGS)
def request_waiver(request: HttpRequest, model: FromPath[str], data: JSONBody[WaiverRequest]) -> dict[str, Any]:
    """Ask for a waiver; it counts once a second person has approved it."""
    asked = _service(request).registry.waivers.request(
        model, data.version, data.gate, days=data.days, by=request.state.actor, reason=data.reason
    )
    return {"waiver": to_builtins(asked)}


@post(
    "/v1/models/{model:str}/waivers/{waiver_id:str}/approve",
    sync_to_thread=True,
    guards=[_changes("approve", "approve")],
    tags=_TAGS,
)
def approve_waiver(request: HttpRequest, model: FromPath[str], waiver_id: FromPath[str]) -> dict[str, Any]:
    """Grant a waiver as the second person."""
    granted = _service(request).registry.waivers.approve(model, waiver_id, by=request.state.actor)
    return {"waiver": to_builtins(granted)}


@post(
    "/v1/models/{model:str}/waivers/{waiver_id:str}/withdraw",
    sync_to_thread=True,
    guards=[_changes("withdraw", "approve")],
    tags=_TAGS,
)
def withdraw_waiver(
    request: HttpRequest, model: FromPath[str], waiver_id: FromPath[str], data: JSONBody[WithdrawRequest]
) -> dict[str, Any]:
    """End a waiver; a promotion that it allowed stays."""
    registry = _service(request).registry
    ended = registry.waivers.withdraw(model, waiver_id, by=request.state.actor, reason=data.reason)
    return {"waiver": to_builtins(ended)}


@get("/v1/audit", sync_to_thread=True, guards=[needs("read")], tags=_TAGS)
def show_audit(request: HttpRequest, model: FromQuery[str | None] = None) -> dict[str, Any]:
    """List what was done to models and what was refused, oldest first."""
    return {"audit": to_builtins(_service(request).registry.audit(model))}


HANDLERS = (
    list_models,
    show_model,
    promote_model,
    roll_back_model,
    request_waiver,
    approve_waiver,
    withdraw_waiver,
    show_audit,
)


def _service(request: HttpRequest) -> Service:
    service: Service = request.app.state.service
    return service
