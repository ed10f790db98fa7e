"""JSON Lines: one conversation per line, in Headset's own shape.

    {"conversation_id"?, "customer_id"?, "channel"?, "language"?, "queue"?, "started"?, "attributes"?,
     "turns": [{"speaker", "text", "time"?, "intent"?, "agent_id"?}],
     "outcome"?: {"resolution"?, "handle_time_s"?, "csat"?}}

``started`` and ``time`` are ISO 8601 with a zone; ``speaker`` is customer, agent or bot; ``attributes`` are
names and values of the customer, such as region and tenure. Unknown fields are
ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, BinaryIO

import msgspec
from msgspec import Meta, Struct

from headset.core.clock import parse_iso
from headset.core.errors import InvalidInput
from headset.data.formats.line import Line, is_undecodable, read_lines
from headset.data.row import BadRow, Dialogue, Turn
from headset.events.schema import Resolution, Speaker

if TYPE_CHECKING:
    from collections.abc import Iterator

TURN_LIMIT = 10_000


class _Turn(Struct, frozen=True):
    speaker: Speaker
    text: str
    time: str | None = None
    intent: str | None = None
    agent_id: str | None = None


class _Outcome(Struct, frozen=True):
    resolution: Resolution | None = None
    handle_time_s: Annotated[float, Meta(ge=0)] | None = None
    csat: Annotated[float, Meta(ge=1, le=5)] | None = None


class _Conversation(Struct, frozen=True, kw_only=True):
    turns: Annotated[list[_Turn], Meta(min_length=1, max_length=TURN_LIMIT)]
    conversation_id: str | None = None
    customer_id: str | None = None
    channel: str = "chat"
    language: str = "en"
    queue: str = "default"
    started: str | None = None
    attributes: dict[str, str] = {}
    outcome: _Outcome = _Outcome()


_decode = msgspec.json.Decoder(_Conversation).decode


def parse(stream: BinaryIO) -> Iterator[Dialogue | BadRow]:
    r"""Read one conversation per line; blank lines are skipped.

    >>> from io import BytesIO
    >>> good, bad = parse(BytesIO(b'{"turns": [{"speaker": "customer", "text": "Hello?"}]}\n{"turns": 3}\n'))
    >>> good.turns[0].text, bad.problem
    ('Hello?', 'is no conversation (Expected `array`, got `int` - at `$.turns`)')
    """
    for line in read_lines(stream):
        if isinstance(line, BadRow):
            yield line
        elif line.text.strip():
            yield _read_dialogue(line)


def _read_dialogue(line: Line) -> Dialogue | BadRow:
    if is_undecodable(line.text):
        return BadRow(line.number, "is not UTF-8; save the file in UTF-8")
    try:
        found = _decode(line.text)
        turns = tuple(_turn(index, turn) for index, turn in enumerate(found.turns))
        started = None if found.started is None else parse_iso(found.started, field="started")
    except InvalidInput as error:
        return BadRow(line.number, str(error))
    except (ValueError, RecursionError) as error:
        return BadRow(line.number, f"is no conversation ({error})")
    return Dialogue(
        number=line.number,
        turns=turns,
        conversation_id=found.conversation_id,
        customer_id=found.customer_id,
        channel=found.channel,
        language=found.language,
        queue=found.queue,
        started=started,
        attributes=found.attributes,
        resolution=found.outcome.resolution,
        handle_time_s=found.outcome.handle_time_s,
        csat=found.outcome.csat,
    )


def _turn(index: int, turn: _Turn) -> Turn:
    time = None if turn.time is None else parse_iso(turn.time, field=f"turns[{index}].time")
    return Turn(turn.speaker, turn.text, time, turn.intent, turn.agent_id)
