"""Against a small server that speaks as the OpenAI-compatible ones do."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from threading import Thread

import pytest

from headset.core.errors import InvalidInput, ModelFailed
from headset.data.synthetic.domain import Domain
from headset.data.synthetic.endpoint import Endpoint, check_url, read_texts

TEXTS = ["My card is lost, call me", "the card did not come", "no card yet", "what a fee"]
DOMAIN = Domain(TEXTS, ["card", "card", "card", "fee"])


def answer(content):
    return 200, json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}), {}


@pytest.fixture
def server():
    """``server.script`` holds the answers to give, the last for ever; ``server.asked`` what came."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            listening.asked.append((self.path, self.headers.get("Authorization"), json.loads(body)))
            script = listening.script
            status, content, headers = script.pop(0) if len(script) > 1 else script[0]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content.encode())), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_):
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.script, listening.asked = [answer('["where did it go?"]')], []
    listening.url = f"http://127.0.0.1:{listening.server_port}/v1"
    thread = Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    yield listening
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def endpoint(server, pauses):
    made = Endpoint(server.url, "small", key="secret", sleep=pauses.append)
    yield made.over(DOMAIN)
    made.close()


def test_texts_come_from_the_answer_with_the_examples_shown_as_their_sources(endpoint, server, seed):
    drawn = endpoint.draw("card", Random(seed))
    assert drawn.text == "where did it go?"
    assert set(drawn.sources) == set(TEXTS[:3])
    ((path, key, question),) = server.asked
    assert path == "/v1/chat/completions"
    assert key == "Bearer secret"
    assert question["model"] == "small"


def test_what_is_sent_is_redacted(server, pauses, seed):
    domain = Domain(["call me at +34 600 123 456 about it"], ["card"])
    endpoint = Endpoint(server.url, "small", sleep=pauses.append).over(domain)
    endpoint.draw("card", Random(seed))
    endpoint.close()
    assert "600" not in json.dumps(server.asked)
    assert "[phone]" in server.asked[0][2]["messages"][1]["content"]
    assert server.asked[0][1] is None


def test_an_overloaded_or_failing_server_is_asked_again_later(endpoint, server, pauses, seed):
    server.script = [(429, "", {"Retry-After": "7"}), (503, "", {}), answer('["at last"]')]
    assert endpoint.draw("card", Random(seed)).text == "at last"
    assert pauses == [7.0, 14.0]


def test_a_server_that_keeps_failing_is_given_up(endpoint, server, pauses, seed):
    server.script = [(500, "", {})]
    with pytest.raises(ModelFailed, match="answers 500, 4 times"):
        endpoint.draw("card", Random(seed))
    assert len(pauses) == 3


def test_a_refusal_is_not_tried_again(endpoint, server, seed):
    server.script = [(401, "{}", {})]
    with pytest.raises(InvalidInput, match="answers 401; check --endpoint, --model and HEADSET_SYNTHESIS_KEY"):
        endpoint.draw("card", Random(seed))
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "body", ["", "no json", '{"choices": []}', '{"choices": [{"message": {}}]}', "[]", "x" * 2_000_000]
)
def test_answers_without_a_text_are_counted_then_given_up(endpoint, server, seed, body):
    server.script = [(200, body, {})]
    with pytest.raises(ModelFailed, match="gave 3 answers without a usable text"):
        endpoint.draw("card", Random(seed))


def test_a_server_that_is_not_there_is_a_clear_error(pauses, seed):
    endpoint = Endpoint("http://127.0.0.1:9/v1", "small", sleep=pauses.append).over(DOMAIN)
    with pytest.raises(ModelFailed, match="cannot be reached"):
        endpoint.draw("card", Random(seed))
    endpoint.close()


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ('Sure!\n```json\n["a card", "a fee"]\n```', ["a card", "a fee"]),
        ('1. a card\n2) "a fee"\n- another', ["a card", "a fee", "another"]),
        ('["", "  ", "good", "mail me at ana@example.org"]', ["good"]),
        (json.dumps(["x" * 500]), []),
        ('{"texts": 3}', []),
        ("", []),
    ],
)
def test_texts_are_read_from_what_models_write(content, texts):
    assert read_texts(content) == texts


@pytest.mark.parametrize("url", ["", "host/v1", "file:///x", "http://", "http://[", "http://host:99999/v1"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(InvalidInput, match="is no address"):
        check_url(url)


def test_a_password_in_the_address_is_refused_and_not_repeated():
    with pytest.raises(InvalidInput) as refusal:
        check_url("https://me:hush@host/v1")
    assert "hush" not in str(refusal.value)
