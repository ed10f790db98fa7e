"""The desk: posts to one server over HTTP, and is patient with one that is busy or restarting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import msgspec
from msgspec import Struct

from headset.core.errors import AccessDenied, InvalidInput, StorageFailed

if TYPE_CHECKING:
    from collections.abc import Callable

_RETRY_AFTER_S = (0.2, 0.4, 0.8, 1.6)
_SHOWN = 200
_FAILED = 500


class _Problem(Struct):
    """A refusal as Headset tells it (RFC 9457), as far as it is passed on."""

    detail: str
    field: str | None = None


class Desk:
    """Talks to one server; retries what was refused for a moment, gives up on what is wrong.

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
            InvalidInput: the server refuses what was sent, or is no Headset server.
            StorageFailed: the server cannot be reached, is busy for long, or fails.
        """
        sent = {name: value for name, value in body.items() if value is not None}
        pauses = iter(_RETRY_AFTER_S)
        while True:
            try:
                answer = self._client.post(path, json=sent)
            except httpx.UnsupportedProtocol as error:
                raise InvalidInput("url", f"{self._client.base_url} is no address of a server ({error})") from None
            except httpx.TransportError as error:
                problem = f"cannot be reached ({error})"
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
        if answer.status_code >= _FAILED:
            raise StorageFailed(told)
        raise InvalidInput(problem.field or "url", told)


def _problem(answer: httpx.Response) -> _Problem:
    try:
        return msgspec.json.decode(answer.content, type=_Problem)
    except msgspec.DecodeError:
        return _Problem(answer.text[:_SHOWN] or answer.reason_phrase)
