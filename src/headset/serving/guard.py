"""Who may call a handler: checked before the body is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler

    from headset.serving.keys import Scope
    from headset.serving.service import Service


def needs(scope: Scope) -> Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]:
    """A guard that lets only keys with ``scope`` pass; others raise ``AccessDenied``."""

    def check(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        service: Service = connection.app.state.service
        service.authorise(connection.headers.get("authorization"), scope)

    return check
