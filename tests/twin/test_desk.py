"""Patient with a busy server, honest with one that refuses."""

from __future__ import annotations

import httpx
import pytest

from headset.core.errors import AccessDenied, Conflict, InvalidInput, StorageFailed
from headset.twin.desk import Desk


def desk_of(answer, wait=lambda _: False):
    client = httpx.Client(base_url="http://twin", transport=httpx.MockTransport(answer))
    return Desk(client, wait)


def test_a_busy_server_is_asked_again():
    codes = iter([503, 503, 201])
    waited = []
    desk = desk_of(lambda _: httpx.Response(next(codes), json={"ok": 1}), waited.append)
    assert desk.post("/x") == {"ok": 1}
    assert waited == [0.2, 0.4]


def test_a_server_that_does_not_come_back_is_given_up():
    waited = []

    def away(request):
        raise httpx.ConnectError("nobody listens", request=request)

    with pytest.raises(StorageFailed, match=r"http://twin cannot be reached \(nobody listens\)"):
        desk_of(away, waited.append).post("/x")
    assert waited == [0.2, 0.4, 0.8, 1.6]


def test_nobody_waits_for_a_busy_server_when_it_is_time_to_stop():
    asked = []
    busy = desk_of(lambda request: asked.append(request) or httpx.Response(503), lambda _: True)
    with pytest.raises(StorageFailed, match="Service Unavailable"):
        busy.post("/x")
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("code", "error"),
    [(401, AccessDenied), (403, AccessDenied), (404, InvalidInput), (422, InvalidInput), (500, StorageFailed)],
)
def test_a_refusal_is_not_repeated(code, error):
    asked = []
    refusing = desk_of(lambda request: asked.append(request) or httpx.Response(code, text="no"))
    with pytest.raises(error, match=rf"refused /x \({code}\): no"):
        refusing.post("/x")
    assert len(asked) == 1


def test_a_refusal_names_the_field_that_the_server_named():
    body = {"title": "Invalid", "status": 422, "detail": "text: is empty", "field": "text"}
    with pytest.raises(InvalidInput, match=r"text: is empty$") as told:
        desk_of(lambda _: httpx.Response(422, json=body)).post("/x")
    assert told.value.field == "text"
    assert not isinstance(told.value, Conflict)


@pytest.mark.parametrize("content", [b"<html>Welcome</html>", b"[1]"])
def test_a_server_of_another_kind_is_found_out(content):
    with pytest.raises(InvalidInput, match="not as a Headset server"):
        desk_of(lambda _: httpx.Response(200, content=content)).post("/x")


def test_an_address_without_a_scheme_is_refused():
    with httpx.Client(base_url="localhost:8080") as client, pytest.raises(InvalidInput, match="no address"):
        Desk(client, lambda _: False).post("/x")


def test_fields_that_are_none_are_left_out():
    sent = []
    desk = desk_of(lambda request: sent.append(request.content) or httpx.Response(201, json={}))
    desk.post("/x", a=1, b=None)
    assert sent == [b'{"a":1}']
