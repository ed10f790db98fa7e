"""The desk: posts to one server over HTTP, and is patient with one that is busy or restarting."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
from msgspec import Struct

from headset.core.errors import AccessDenied, Conflict, InvalidInput, StorageFailed
from headset.twin.refusal import show

if TYPE_CHECKING:
    from collections.abc import Callable

_RETRY_AFTER_S = (0.2, 0.4, 0.8, 1.6)
_SHOWN = 200
_FAILED = 500
_PATIENCE_S = 10.0
_PORTS = 65_536
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_KEY = re.compile(r"[!-~]+")


class _Problem(Struct):
    """A refusal as Headset tells it (RFC 9457), as far as it is passed on."""

    detail: str
    field: str | None = None


def open_client(url: str, key: str) -> httpx.Client:
    """A client of the server at ``url`` that shows ``key`` with each request; no proxy comes between it and loopback.

    Raises:
        InvalidInput: ``url`` is no address of a server, or ``key`` cannot be a key.

    >>> open_client("localhost:8080", "secret")
    Traceback (most recent call last):
    headset.core.errors.InvalidInput: url: is 'localhost:8080'; give an address such as http://127.0.0.1:8080
    """
    if not _KEY.fullmatch(key):
        raise InvalidInput("key", "has characters that no key has; give one as 'headset keys create' printed it")
    shown = show(url.rpartition("@")[2])  # before it there may be a password
    try:
        address = httpx.URL(url)
        address.host.encode("idna")
        client = httpx.Client(
            base_url=address,
            headers={"Authorization": f"Bearer {key}"},
            timeout=_PATIENCE_S,
            trust_env=address.host not in _LOOPBACK,
        )
    except (httpx.InvalidURL, ValueError) as error:
        raise InvalidInput("url", f"is {shown} ({error}); give an address such as http://127.0.0.1:8080") from None
    port_fits = address.port is None or 0 < address.port < _PORTS
    if address.scheme in {"http", "https"} and address.host and port_fits and not address.userinfo + address.query:
        return client
    raise InvalidInput("url", f"is {shown}; give an address such as http://127.0.0.1:8080")


class Desk:
    """Talks to one server; sends again only what surely was not taken, so that nothing is recorded twice.

    That is what found no server, or one that refused it for a moment. What may have arrived, though the answer was
    lost, is not sent again.

    Args:
        client: Bound to the server's address and a key.
        wait: Sleeps so many seconds; returns True when it is time to stop.
    """

    def __init__(self, client: httpx.Client, wait: Callable[[float], bool]) -> None:
        self._client = client
        self._wait = wait

    def post(self, path: str, **body: object) -> dict[str, Any]:
        """Post ``body`` (fields that are None are left out) and return the answer.

        Raises:
            AccessDenied: the key is missing or wrong, or may not do this.
            Conflict: the server has something else on record, such as an earlier sending that it failed halfway.
            InvalidInput: the server refuses what was sent, or is no Headset server.
            StorageFailed: the server cannot be reached, is busy for long, does not answer, or fails.
        """
        sent = {name: value for name, value in body.items() if value is not None}
        pauses = iter(_RETRY_AFTER_S)
        while True:
            try:
                answer = self._client.post(path, json=sent)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                problem = f"cannot be reached ({error})"
            except httpx.RequestError as error:
                raise StorageFailed(f"{self._client.base_url} gave {path} no answer ({error})") from error
            else:
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    return self._read(path, answer)
                problem = f"asks to try {path} again later: {_problem(answer).detail}"
            pause_s = next(pauses, None)
            if pause_s is None or self._wait(pause_s):
                raise StorageFailed(f"{self._client.base_url} {problem}")

    def _read(self, path: str, answer: httpx.Response) -> dict[str, Any]:
        """The answer's fields, or the error it tells of."""
        if answer.is_success:
            try:
                return msgspec.json.decode(answer.content, type=dict[str, Any])
            except msgspec.DecodeError:
                told = f"{self._client.base_url} answers {path}, but not as a Headset server does; check the address"
                raise InvalidInput("url", told) from None
        problem = _problem(answer)
        told = f"{self._client.base_url} refused {path} ({answer.status_code}): {problem.detail}"
        if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise AccessDenied(told, known=answer.status_code == httpx.codes.FORBIDDEN)
        if answer.status_code == httpx.codes.CONFLICT:
            raise Conflict(problem.field or "url", told)
        if answer.status_code >= _FAILED:
            raise StorageFailed(told)
        raise InvalidInput(problem.field or "url", told)


def _problem(answer: httpx.Response) -> _Problem:
    try:
        return msgspec.json.decode(answer.content, type=_Problem)
    except msgspec.DecodeError:
        return _Problem(answer.text[:_SHOWN] or answer.reason_phrase)
