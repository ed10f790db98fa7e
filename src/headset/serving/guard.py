"""Who may call a handler: checked before the body is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler

    from headset.serving.keys import Scope
    from headset.serving.service import Service


def needs(scope: Scope) -> Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]:
    """A guard that lets only keys with ``scope`` pass; others raise ``AccessDenied``.

    It awaits nothing, but a plain function would be sent through a thread for every request.
    """

    async def check(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        service: Service = connection.app.state.service
        service.authorise(connection.headers.get("authorization"), scope)

    return check
