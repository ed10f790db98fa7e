from __future__ import annotations

import json
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headset.core.clock import parse_iso
from headset.data.formats.jsonl import parse
from headset.data.row import BadRow, Dialogue, Turn

FULL = {
    "conversation_id": "c-1",
    "customer_id": "ana:7",
    "channel": "email",
    "language": "en-GB",
    "queue": "billing",
    "started": "2026-03-01T10:00:00Z",
    "turns": [
        {"speaker": "customer", "text": "My bill?", "time": "2026-03-01T10:00:05+00:00", "intent": "bill", "x": 1},
        {"speaker": "agent", "text": "Let me look.", "agent_id": "a-2"},
    ],
    "outcome": {"resolution": "resolved", "handle_time_s": 61.5, "csat": 4},
    "unknown": {"is": "ignored"},
}


def read(*lines):
    content = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    return list(parse(BytesIO(content)))


def test_a_full_line_is_read_in_full():
    assert read(FULL) == [
        Dialogue(
            number=1,
            turns=(
                Turn("customer", "My bill?", parse_iso("2026-03-01T10:00:05Z", field=""), "bill"),
                Turn("agent", "Let me look.", agent_id="a-2"),
            ),
            conversation_id="c-1",
            customer_id="ana:7",
            channel="email",
            language="en-GB",
            queue="billing",
            started=parse_iso("2026-03-01T10:00:00Z", field=""),
            resolution="resolved",
            handle_time_s=61.5,
            csat=4,
        )
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "no conversation"),
        (b"[1]", "Expected `object`"),
        ({"turns": []}, "turns"),
        ({"conversation_id": "c"}, "missing required field `turns`"),
        ({**FULL, "started": "2026-03-01T10:00:00"}, "started: '2026-03-01T10:00:00' names no time zone"),
        ({**FULL, "turns": [{"speaker": "robot", "text": "hi"}]}, "robot"),
        ({**FULL, "turns": [{"speaker": "agent", "text": "hi", "time": "noon"}]}, "turns[0].time"),
        ({**FULL, "outcome": {"csat": 9}}, "$.outcome.csat"),
        ({**FULL, "outcome": {"resolution": "won"}}, "won"),
        (b'{"turns": [{"speaker": "agent", "text": "caf\xe9"}]}', "UTF-8"),
        (b'{"turns": [{"speaker": "agent", "text": "\\ud800"}]}', "no conversation"),
        (b'{"x": ' + b"[" * 50_000 + b"]" * 50_000 + b', "turns": []}', "recursion"),
    ],
)
def test_a_bad_line_is_reported_by_number_and_the_next_one_read(line, problem):
    bad, good = read(line, FULL)
    assert (bad.number, good.number) == (1, 2)
    assert problem in bad.problem


def test_blank_lines_are_skipped_but_counted():
    assert [item.number for item in read(b"", FULL, b"  ", FULL)] == [2, 4]


values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*FULL, "speaker", "text"]), inner),
    max_leaves=10,
)


@settings(max_examples=50)
@given(st.binary(max_size=200) | values.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_make_the_reader_fail(content):
    assert all(isinstance(item, Dialogue | BadRow) for item in read(content))
