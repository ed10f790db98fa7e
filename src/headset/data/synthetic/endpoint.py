"""Generator: a language model behind an OpenAI-compatible endpoint; texts are sent only if the user says so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import msgspec
from msgspec import Struct

from headset.core.errors import HeadsetError, InvalidInput, ModelFailed
from headset.data.synthetic.row import Candidate
from headset.events.door import check_text
from headset.events.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from headset.data.synthetic.domain import Domain

EXAMPLES = 3
"""Real texts in one question: few, since a row is learned from only where all its sources are."""

_ASKED = 10
_ATTEMPTS = 4
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_ANSWER_LIMIT = 1_048_576
_TEXT_LIMIT = 400
_BAD_ANSWERS = 3
_INVITATION = (
    "You write training data for a classifier of customer messages. Write {count} new messages, each what a different"
    " customer would write with exactly the same intent as the examples. Vary wording, length and tone; use none of"
    " the examples' sentences, and no names or numbers of people. Answer with a JSON array of strings and nothing else."
)
_BULLET = re.compile(r"^\s*(?:\d{1,3}[.)]|[-*•])\s+")


class _Message(Struct):
    content: str | None = None


class _Choice(Struct):
    message: _Message


class _Answer(Struct):
    choices: list[_Choice]


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_texts = msgspec.json.Decoder(list[str]).decode


class Endpoint:
    """Asks a chat model for texts like some of an intent's; drawing takes from what it answered, then asks again.

    Time-outs, answers of overload (429) and of a failing server (5xx) are tried again, later each time. What is no
    text is passed over; after three answers in a row without one, it gives up.

    Args:
        url: Up to and including the version: ``http://127.0.0.1:8000/v1``.
        model: Its name there.
        key: Sent as a bearer token; none where empty.
        sleep: Waits so many seconds.
        transport: How requests travel; the network unless a test says otherwise.

    Raises:
        InvalidInput: the address is none.
    """

    name = "endpoint"

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key: str = "",
        sleep: Callable[[float], None],
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        check_url(url)
        if not model.strip():
            raise InvalidInput("model", "is empty; name a model of the endpoint with --model")
        self._url = f"{url.rstrip('/')}/chat/completions"
        self._model = model
        self._sleep = sleep
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(timeout=_TIMEOUT, headers=headers, transport=transport, follow_redirects=False)
        self._domain: Domain | None = None
        self._waiting: dict[str, list[Candidate]] = {}

    def over(self, domain: Domain) -> Endpoint:
        """The same endpoint, asked about the texts of ``domain`` from now on; what waited is forgotten."""
        self._domain, self._waiting = domain, {}
        return self

    def draw(self, intent: str, random: Random) -> Candidate | None:
        """See :class:`Generator`.

        Raises:
            InvalidInput: the endpoint refuses the address, the key, the model or the request.
            ModelFailed: it does not answer, or not with texts.
        """
        waiting = self._waiting.setdefault(intent, [])
        for _ in range(_BAD_ANSWERS):
            if waiting:
                return waiting.pop()
            waiting.extend(self._ask(intent, random))
        if waiting:
            return waiting.pop()
        raise ModelFailed(f"{self._url} gave {_BAD_ANSWERS} answers without a usable text; try another model")

    def close(self) -> None:
        """Release its connections."""
        self._client.close()

    def _ask(self, intent: str, random: Random) -> list[Candidate]:
        examples = [] if self._domain is None else self._domain.examples[intent]
        sources = tuple(text for text, _ in random.sample(examples, min(EXAMPLES, len(examples))))
        shown = msgspec.json.encode([redact(text).text for text in sources]).decode()
        question = {
            "model": self._model,
            "messages": [
                {"role": "system", "content": _INVITATION.format(count=_ASKED)},
                {"role": "user", "content": f"Intent: {redact(intent).text}\nExamples: {shown}"},
            ],
            "temperature": 1.0,
            "seed": random.getrandbits(31),
        }
        return [Candidate(text, sources) for text in read_texts(self._post(question))]

    def _post(self, question: object) -> str:
        """The content of the answer; empty where there is none to be read."""
        problem, pause = "", _FIRST_PAUSE_S
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            try:
                status, content, later = self._send(question)
            except httpx.TransportError as error:
                problem = f"cannot be reached ({type(error).__name__})"
                continue
            if status == httpx.codes.OK:
                return _content(content)
            if status != httpx.codes.TOO_MANY_REQUESTS and status < httpx.codes.INTERNAL_SERVER_ERROR:
                raise InvalidInput(
                    "endpoint", f"{self._url} answers {status}; check --endpoint, --model and HEADSET_SYNTHESIS_KEY"
                )
            problem = f"answers {status}"
            pause = max(pause, min(later, _LONGEST_PAUSE_S))
        raise ModelFailed(f"{self._url} {problem}, {_ATTEMPTS} times; try again later")

    def _send(self, question: object) -> tuple[int, bytes, float]:
        """Status, body up to a limit, and the seconds after which to try again."""
        with self._client.stream("POST", self._url, json=question) as answer:
            content = b""
            for part in answer.iter_bytes():
                content += part
                if len(content) > _ANSWER_LIMIT:
                    break
            wish = answer.headers.get("Retry-After", "")
        return answer.status_code, content, float(wish) if wish.isdecimal() else 0.0


def check_url(url: str) -> None:
    """Refuse what is no address of an endpoint.

    Raises:
        InvalidInput: it is none, or holds a password.

    >>> check_url("ftp://host")
    Traceback (most recent call last):
    headset.core.errors.InvalidInput: endpoint: 'ftp://host' is no address; give one such as http://127.0.0.1:8000/v1
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good, parts = False, urlsplit("")
    if not good:
        raise InvalidInput("endpoint", f"{url[:80]!r} is no address; give one such as http://127.0.0.1:8000/v1")
    if parts.username or parts.password:
        raise InvalidInput("endpoint", "holds a name or password; put the key into HEADSET_SYNTHESIS_KEY instead")


def read_texts(content: str) -> list[str]:
    r"""The texts in an answer: a JSON array, perhaps fenced, or one text to a line; odd ones are left out.

    >>> read_texts('```json\n["Where is it?", ""]\n```'), read_texts("1. Where is it?\n2. My card?")
    (['Where is it?'], ['Where is it?', 'My card?'])
    """
    begin, end = content.find("["), content.rfind("]")
    try:
        texts = _decode_texts(content[begin : end + 1])
    except msgspec.DecodeError:
        lines = (_BULLET.sub("", line).strip().strip('"') for line in content.splitlines())
        texts = [line for line in lines if not line.startswith(("```", "[", "]", "{", "}"))]
    return [text.strip() for text in texts if _is_usable(text.strip())]


def _is_usable(text: str) -> bool:
    try:
        check_text(text, field="text")
    except HeadsetError:
        return False
    return len(text) <= _TEXT_LIMIT and redact(text).text == text


def _content(body: bytes) -> str:
    try:
        choices = _decode_answer(body).choices
    except msgspec.DecodeError:
        return ""
    return (choices[0].message.content or "") if choices else ""
