"""Jobs over HTTP: submit, list, show, read the log of, cancel. A worker runs them, not this process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from litestar import Request, Response, get, post
from litestar.enums import MediaType
from litestar.params import FromPath, FromQuery

from headset.core.errors import InvalidInput
from headset.serving.guard import needs

if TYPE_CHECKING:
    from headset.serving.service import Service

HttpRequest = Request[Any, Any, Any]
_TAGS = ["jobs"]
_LIST_LIMIT = 1_000


class JobDesk(Protocol):
    """What the handlers ask of jobs; every answer is JSON."""

    def submit(self, spec: bytes) -> bytes:
        """Queue the job in a JSON document.

        Raises:
            InvalidInput: it is none, or could never run here.
        """
        ...

    def list(self, limit: int) -> bytes:
        """The newest jobs."""
        ...

    def show(self, job_id: str) -> bytes:
        """One job with its spec and history.

        Raises:
            NotFound: there is none.
        """
        ...

    def lines(self, job_id: str, offset: int) -> bytes:
        """What it printed from the byte ``offset`` on.

        Raises:
            NotFound: there is none.
        """
        ...

    def cancel(self, job_id: str) -> bytes:
        """Ask for its end.

        Raises:
            NotFound: there is none.
        """
        ...


@post("/v1/jobs", status_code=201, guards=[needs("admin")], tags=_TAGS)
async def submit_job(request: HttpRequest) -> Response[bytes]:
    """Queue a job: a JSON object with ``command`` (and ``data``, ``seed``, ``resources``… of a job spec)."""
    content = await request.body()
    return _answer(await asyncio.to_thread(_desk(request).submit, content), status_code=201)


@get("/v1/jobs", sync_to_thread=True, guards=[needs("read")], tags=_TAGS)
def list_jobs(request: HttpRequest, limit: FromQuery[int] = 100) -> Response[bytes]:
    """List the newest jobs."""
    if not 1 <= limit <= _LIST_LIMIT:
        raise InvalidInput("limit", f"is {limit}; send a number from 1 to {_LIST_LIMIT}")
    return _answer(_desk(request).list(limit))


@get("/v1/jobs/{job_id:str}", sync_to_thread=True, guards=[needs("read")], tags=_TAGS)
def show_job(request: HttpRequest, job_id: FromPath[str]) -> Response[bytes]:
    """Show a job: its spec, where it stands, its progress, and all that happened to it."""
    return _answer(_desk(request).show(job_id))


@get("/v1/jobs/{job_id:str}/logs", sync_to_thread=True, guards=[needs("read")], tags=_TAGS)
def show_lines(request: HttpRequest, job_id: FromPath[str], offset: FromQuery[int] = 0) -> Response[bytes]:
    """Give what a job printed from the byte ``offset`` on; ask again at the ``offset`` answered until ``ended``."""
    if offset < 0:
        raise InvalidInput("offset", f"is {offset}; send 0, or the offset of the last answer")
    return _answer(_desk(request).lines(job_id, offset))


@post("/v1/jobs/{job_id:str}/cancel", status_code=202, sync_to_thread=True, guards=[needs("admin")], tags=_TAGS)
def cancel_job(request: HttpRequest, job_id: FromPath[str]) -> Response[bytes]:
    """End a job: at once where it waits, by its worker where it runs."""
    return _answer(_desk(request).cancel(job_id), status_code=202)


HANDLERS = [submit_job, list_jobs, show_job, show_lines, cancel_job]


def _desk(request: HttpRequest) -> JobDesk:
    service: Service = request.app.state.service
    return service.jobs


def _answer(content: bytes, status_code: int = 200) -> Response[bytes]:
    return Response(content, media_type=MediaType.JSON, status_code=status_code)
