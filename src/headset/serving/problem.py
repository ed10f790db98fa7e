"""Errors as HTTP answers: problem details (RFC 9457) that name the field, the limit and the next step."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, InternalServerException, ValidationException
from msgspec import Struct

from headset.core.errors import (
    AccessDenied,
    Conflict,
    InvalidInput,
    NotFound,
    Overloaded,
    StorageFailed,
)

if TYPE_CHECKING:
    from headset.serving.metrics import Metrics

_logger = logging.getLogger("headset.serving")
_TITLES = {
    400: "Not readable",
    401: "No access",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    422: "Invalid",
    500: "Failed",
    503: "Try again later",
}
_NAMED_FIELD = re.compile(r"field `([^`]*)`")


class Problem(Struct, frozen=True, omit_defaults=True):
    """The body of every refusal."""

    title: str
    status: int
    detail: str
    field: str | None = None


def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Turn any error into a problem; a defect of the server is logged and told without details."""
    problem, headers = problem_of(error)
    if problem.status >= 500 and not isinstance(error, Overloaded):
        _logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    metrics: Metrics = request.app.state.metrics
    metrics.refused(problem.status)
    return Response(problem, status_code=problem.status, headers=headers, media_type="application/problem+json")


def problem_of(error: Exception) -> tuple[Problem, dict[str, str]]:  # noqa: C901, PLR0911 - one answer per kind
    """The problem an error is told as, and the headers that go with it."""
    match error:
        case AccessDenied():
            return _said(403 if error.known else 401, str(error)), {"WWW-Authenticate": "Bearer"}
        case Overloaded():
            return _said(503, str(error)), {"Retry-After": str(error.retry_after_s)}
        case StorageFailed():
            return _said(503, "the store failed and nothing was kept; the server's log says why"), {"Retry-After": "1"}
        case InvalidInput():
            status = 404 if isinstance(error, NotFound) else 409 if isinstance(error, Conflict) else 422
            return _said(status, str(error), error.field), {}
        case ValidationException():
            return _invalid(error), {}
        case RecursionError():
            return _said(400, "body: is nested too deeply; send the documented fields", "body"), {}
        case UnicodeDecodeError():
            return _said(400, f"body: is not valid UTF-8 at byte {error.start}; encode it as UTF-8", "body"), {}
        case InternalServerException() if "disconnected" in error.detail:
            return _said(400, "body: ended before it was complete; send it again", "body"), {}
        case HTTPException(status_code=400):
            return _said(400, f"body: is not valid JSON ({error.detail})", "body"), {}
        case HTTPException(status_code=413):
            return _said(413, "body: is larger than the server's body_limit; send less at once", "body"), {}
        case HTTPException():
            return _said(error.status_code, error.detail), {}
        case _:
            return _said(500, "the server itself failed; its log has the details"), {}


def _said(status: int, detail: str, field: str | None = None) -> Problem:
    return Problem(_TITLES.get(status, "Refused"), status, detail, field)


def _invalid(error: ValidationException) -> Problem:
    """Name the field that the framework found wrong."""
    found = error.extra[0] if isinstance(error.extra, list) and error.extra else {}
    message, key = str(found.get("message", error.detail)), str(found.get("key", "body"))
    if key == "data":
        named = _NAMED_FIELD.search(message)
        key = named[1] if named else "body"
    if message == "'data'":
        message = "is empty; send a JSON object"
    return _said(422, f"{key}: {message}", key)
