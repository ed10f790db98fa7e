from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.core.errors import InvalidInput
from headset.features.expression import column, literal, seconds_since
from headset.features.fact import COLUMNS

DECISION = COLUMNS["DecisionServed"]
KINDS = {"confidence": pa.float64(), "latency_ms": pa.float64(), "intent": pa.string(), "degraded": pa.bool_()}
SOME = st.sampled_from((0.0, -0.0, 1.0, -1.5, 0.1, 1e10, -1e10, 1e-300, 5e-324, 3.0))

numbers = st.deferred(
    lambda: (
        st.sampled_from((column("confidence"), column("latency_ms")))
        | st.builds(lambda left, right: left + right, numbers, numbers | SOME)
        | st.builds(lambda left, right: left - right, SOME, numbers)
        | st.builds(lambda left, right: left * right, numbers, numbers)
        | st.builds(lambda left, right: left / right, numbers | SOME, numbers)
        | st.builds(lambda left, right: left.otherwise(right), numbers, numbers | SOME)
    )
)
words = st.just(column("intent")) | st.builds(lambda other: column("intent").otherwise(other), st.sampled_from("ab'"))
flags = st.deferred(
    lambda: (
        st.just(column("degraded"))
        | st.builds(lambda left, right: left < right, numbers, numbers | SOME)
        | st.builds(lambda left, right: left <= right, numbers, numbers)
        | st.builds(lambda left, right: left > right, numbers, numbers)
        | st.builds(lambda left, right: left >= right, numbers, SOME)
        | st.builds(lambda left, right: left.equals(right), numbers, numbers | SOME)
        | st.builds(lambda left, right: left.differs(right), words, words | st.sampled_from("ab'"))
        | st.builds(lambda left, right: left & right, flags, flags | st.booleans())
        | st.builds(lambda left, right: left | right, flags, flags)
        | st.builds(lambda left: ~left, flags)
        | st.builds(lambda left: left.is_null(), numbers | words | flags)
    )
)
facts = st.fixed_dictionaries(
    {
        "confidence": st.none() | SOME | st.floats(-1e10, 1e10),
        "latency_ms": st.none() | SOME,
        "intent": st.none() | st.sampled_from(("a", "b", "it's")),
        "degraded": st.none() | st.booleans(),
    }
)


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        connection.execute("SET ieee_floating_point_ops = true")
        yield connection


@given(expression=numbers | flags | words, rows=st.lists(facts, min_size=1, max_size=5))
def test_python_and_duckdb_give_the_same(connection, expression, rows):
    expression.kind(DECISION)
    connection.register("fact", pa.Table.from_pylist(rows, pa.schema(KINDS)))
    found = connection.sql(f"SELECT {expression.sql()} AS value FROM fact").fetchall()
    compiled = expression.compile()
    assert [repr(compiled(row)) for row in rows] == [repr(value) for (value,) in found]


@given(value=st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.text("ab'\"%;\\é"))
def test_a_literal_keeps_every_bit(connection, value):
    assert repr(connection.sql(f"SELECT {literal(value)}").fetchall()[0][0]) == repr(value)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (column("confidnce"), "confidnce: is no column here; there are"),
        (column("intent") + 1, "intent: is a word; [+] needs a number here"),
        (column("intent") < "b", "intent: is a word; < does not take it"),
        (column("confidence").equals("high"), "'high': is a word; = needs a number here"),
        (column("confidence") & column("degraded"), "confidence: is a number; AND needs a flag here"),
        (column("confidence") * float("nan"), "nan: is not a finite number"),
        (seconds_since("Turn"), "Turn: is no event type"),
        (seconds_since("TurnReceived", column("sentiment")), "sentiment: is a number; seconds_since needs a flag"),
        (seconds_since("TurnReceived", seconds_since("TurnReceived") > 1), "cannot depend on another one"),
    ],
)
def test_what_cannot_compile_is_refused_by_name(expression, message):
    with pytest.raises(InvalidInput, match=message):
        expression.kind(DECISION)


def test_python_cannot_drop_a_part_of_an_expression():
    with pytest.raises(InvalidInput, match="write &"):
        _ = (column("confidence") > 0) and column("degraded")


def test_something_else_is_no_expression():
    with pytest.raises(InvalidInput, match="neither an expression nor"):
        column("confidence") + None


@pytest.mark.parametrize(
    ("expression", "read"),
    [
        (0.5 * column("a"), "(0.5 * a)"),
        ((column("a") + 1 > 2) & ~column("b") | column("c").equals("it's"), '((((a + 1) > 2) & ~b) | (c = "it\'s"))'),
        (column("a").otherwise(0).is_null(), "a.otherwise(0).is_null()"),
        (
            seconds_since("TurnReceived", column("speaker").equals("bot")),
            "seconds_since(TurnReceived, (speaker = 'bot'))",
        ),
        (seconds_since("TurnReceived"), "seconds_since(TurnReceived, True)"),
    ],
)
def test_people_can_read_an_expression(expression, read):
    assert str(expression) == read
