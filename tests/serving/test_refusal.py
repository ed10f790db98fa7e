"""Bad input gets a clear answer that names the field; nothing is lost, and the server goes on."""

from __future__ import annotations

import pytest
from litestar.exceptions import InternalServerException

from headset.core.errors import StorageFull
from headset.serving.problem import problem_of


def refused(answer, status, field):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["field"] == field
    assert problem["status"] == status
    assert problem["detail"]
    return problem["detail"]


@pytest.fixture(autouse=True)
def goes_on_afterwards(say, parts):
    yield
    before = parts.log.head()
    assert say("still there?", conversation="afterwards").status_code == 201
    assert parts.log.head() > before


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b'{"text":', 400, "body"),
        (b"\xff\xfe", 400, "body"),
        (b'{"text": "\xff"}', 400, "body"),
        (b'{"text": "\\ud800"}', 400, "body"),
        (b"", 422, "body"),
        (b"[]", 422, "body"),
        (b"{}", 422, "text"),
        (b'{"text": 5}', 422, "text"),
        (b'{"text": ""}', 422, "text"),
        (b'{"text": " \\n "}', 422, "text"),
        (b'{"text": "a\\u0000b"}', 422, "text"),
        (b'{"text": "a", "speaker": "dog"}', 422, "speaker"),
        (b'{"text": "a", "txt": "b"}', 422, "txt"),
        (b'{"text": "a", "turn_id": "no spaces"}', 422, "turn_id"),
        (b'{"text": "a", "customer_id": "ann@example.org"}', 422, "customer_id"),
        (b'{"text": "a", "event_time": "yesterday"}', 422, "event_time"),
        (b'{"text": "a", "event_time": "2020-01-01T00:00:00"}', 422, "event_time"),
        (b'{"text": "a", "event_time": "2020-01-01T00:00:00Z"}', 422, "event_time"),
        (b'{"text": "a", "event_time": "2190-01-01T00:00:00Z"}', 422, "event_time"),
        (b'{"text": "a", "attributes": {"x": 1}}', 422, "attributes[...]"),
        (b'{"text": "a", "attributes": {"x": "4111 1111 1111 1111"}}', 422, "attributes.x"),
        (b'{"text": "a", "channel": "a\\u0000b"}', 422, "channel"),
        (b'{"text": "a", "channel": "a\\u202eb"}', 422, "channel"),
        (b'{"text": "\\u200b\\u200d"}', 422, "text"),
        (b'{"text": "a", "language": "en-' + b"abcdefgh-" * 9 + b'x"}', 422, "language"),
        (b'{"text": "a", "queue": "ann@example.org"}', 422, "queue"),
        (b'{"text": "a", "customer_id": "ann\\n"}', 422, "customer_id"),
        (b'{"text": "a", "event_time": "9999-12-31T23:59:59-14:00"}', 422, "event_time"),
        (b"[" * 90_000, 400, "body"),
    ],
)
def test_a_wrong_turn_is_refused_by_name(client, body, status, field):
    refused(client.post("/v1/conversations/c-1/turns", content=body), status, field)


def test_a_text_over_the_limit_is_refused_with_the_limit(say):
    assert "16000" in refused(say("x" * 16_001), 422, "text")


def test_a_body_of_a_megabyte_is_refused(say):
    refused(say("x" * 1_000_000), 413, "body")


def test_a_conversation_id_of_other_characters_is_refused(client):
    refused(client.post("/v1/conversations/a%20b/turns", json={"text": "x"}), 422, "conversation_id")


def test_a_turn_told_twice_is_refused_and_names_its_decision(say):
    first = say(turn_id="t1").json()
    assert first["decision_id"] in refused(say(turn_id="t1"), 409, "turn_id")


def test_a_conversation_with_too_many_turns_is_refused_with_the_limit(say):
    for _ in range(50):
        assert say("more").status_code == 201
    assert "50" in refused(say("more"), 422, "turn_id")


def test_an_unknown_conversation_is_not_found(client):
    refused(client.get("/v1/conversations/nobody"), 404, "conversation_id")
    refused(client.post("/v1/conversations/nobody/outcome", json={"csat": 5}), 404, "conversation_id")


def test_a_turn_after_the_end_is_refused(say, client):
    say()
    assert client.post("/v1/conversations/c-1/end", json={}).status_code == 201
    refused(say("wait"), 409, "conversation_id")


def test_another_customer_in_the_same_conversation_is_refused(say):
    say(customer_id="ann")
    refused(say(customer_id="bob"), 409, "customer_id")


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic YTpi", "Bearer "])
def test_without_a_good_key_there_is_no_access(anonymous, key, header):
    anonymous.headers.pop("Authorization", None)
    headers = {} if header is None else {"Authorization": header}
    answer = anonymous.post("/v1/conversations/c-1/turns", json={"text": "x"}, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    anonymous.headers["Authorization"] = f"Bearer {key}"


def test_an_expired_key_is_refused(client, parts):
    secret, _ = parts.keys.create("short", ["decide"], valid_s=1e-6)
    answer = client.post(
        "/v1/conversations/c-1/turns", json={"text": "x"}, headers={"Authorization": f"Bearer {secret}"}
    )
    assert answer.status_code == 401
    assert "expired" in answer.json()["detail"]


def test_a_key_does_only_what_its_scopes_say(client, parts):
    secret, _ = parts.keys.create("reader", ["read"])
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.post("/v1/conversations/c-1/turns", json={"text": "x"}, headers=headers).status_code == 403
    assert client.get("/v1/models", headers=headers).status_code == 200


def test_a_revoked_key_is_refused_at_once(client, parts):
    secret, made = parts.keys.create("agent", ["read"])
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.get("/v1/models", headers=headers).status_code == 200
    parts.keys.revoke(made.key_id)
    assert client.get("/v1/models", headers=headers).status_code == 401


def test_an_unknown_path_is_not_found(client):
    assert client.get("/v1/nothing").status_code == 404


def test_more_turns_than_the_limit_are_told_to_come_back(say, anonymous):
    decisions = anonymous.app.state.service.decisions
    decisions.in_progress = 64
    answer = say()
    decisions.in_progress = 0
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


def test_the_key_is_checked_before_the_body(anonymous, key):
    anonymous.headers.pop("Authorization", None)
    assert anonymous.post("/v1/conversations/c-1/turns", content=b"nonsense").status_code == 401
    assert anonymous.get("/v2/models/intent").status_code == 401
    anonymous.headers["Authorization"] = f"Bearer {key}"


def test_a_failing_store_is_told_without_its_path(say, anonymous, config):
    decisions = anonymous.app.state.service.decisions
    append = decisions._append

    async def full(_):
        raise StorageFull(f"{config.home} cannot grow")

    decisions._append = full
    answer = say()
    decisions._append = append
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert str(config.home) not in answer.text


def test_a_client_that_goes_away_is_no_error_of_the_server():
    problem, _ = problem_of(InternalServerException("client disconnected prematurely"))
    assert (problem.status, problem.field) == (400, "body")


def test_the_word_bearer_may_be_written_in_any_case(anonymous, key):
    assert anonymous.get("/v1/models", headers={"Authorization": f"bearer {key}"}).status_code == 200
    anonymous.headers["Authorization"] = f"Bearer {key}"


def test_a_text_that_redaction_makes_too_long_is_refused(say):
    refused(say(("a@b.co " * 2280)[:16_000]), 422, "text")
