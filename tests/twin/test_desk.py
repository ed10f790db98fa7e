"""Patient with a busy server, honest with one that refuses."""

from __future__ import annotations

import httpx
import pytest

from headset.core.errors import AccessDenied, Conflict, InvalidInput, StorageFailed
from headset.twin.desk import Desk, open_client


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


def test_a_server_that_comes_back_in_time_is_sent_it_once():
    taken, problems = [], iter([httpx.ConnectError, httpx.ConnectTimeout])

    def away(request):
        problem = next(problems, None)
        if problem is not None:
            raise problem("nobody listens", request=request)
        taken.append(request)
        return httpx.Response(201, json={})

    desk_of(away).post("/x")
    assert len(taken) == 1


@pytest.mark.parametrize(
    "problem", [httpx.ReadTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, httpx.DecodingError]
)
def test_what_may_have_arrived_is_not_sent_again(problem):
    taken, waited = [], []

    def answer(request):
        taken.append(request)
        raise problem("lost on the way", request=request)

    with pytest.raises(StorageFailed, match=r"gave /x no answer \(lost on the way\)"):
        desk_of(answer, waited.append).post("/x")
    assert (len(taken), waited) == (1, [])


def test_a_conflict_with_what_was_taken_after_all_is_told_as_one():
    codes = iter([503, 409])
    with pytest.raises(Conflict, match="taken already"):
        desk_of(lambda _: httpx.Response(next(codes), text="taken already")).post("/x")


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


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8080",
        "//host",
        "ftp://host",
        "http://",
        "http://host:notaport",
        "http://127.0.0.1:99999",
        "http://host:-1",
        "http://[::1",
        "http://a..b",
        "http://xn--zzzzzzz--",
        "http://\0",
        "http://host/?page=1",
        "http://" + "x" * 70_000,
    ],
)
def test_what_is_no_address_of_a_server_is_refused(url):
    with pytest.raises(InvalidInput, match="give an address such as") as told:
        open_client(url, "k")
    assert told.value.field == "url"
    assert len(str(told.value)) < 300


def test_a_password_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(InvalidInput, match="is 'host:80'") as told:
        open_client("http://me:hidden@host:80", "k")
    assert "hidden" not in str(told.value)


@pytest.mark.parametrize("key", ["", "clé", "two words", "line\n", "\x7f"])
def test_what_cannot_be_a_key_is_refused_and_not_repeated(key):
    with pytest.raises(InvalidInput, match=r"^key: has characters that no key has; [^é]*$"):
        open_client("http://host", key)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "https://[::1]", "http://host/below", "http://münchen.example"]
)
def test_a_client_shows_its_key_to_the_address(url):
    with open_client(url, "hs_1") as client:
        request = client.build_request("POST", "/v1/x")
    assert request.headers["authorization"] == "Bearer hs_1"
    assert request.url == httpx.URL(f"{url}/v1/x")


def test_no_proxy_comes_between_the_desk_and_its_own_machine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "nonsense://proxy")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    open_client("http://localhost:8080", "k").close()
    with pytest.raises(InvalidInput, match="proxy"):
        open_client("http://host", "k")


def test_fields_that_are_none_are_left_out():
    sent = []
    desk = desk_of(lambda request: sent.append(request.content) or httpx.Response(201, json={}))
    desk.post("/x", a=1, b=None)
    assert sent == [b'{"a":1}']
