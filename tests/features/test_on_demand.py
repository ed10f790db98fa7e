"""On-demand features are the same in Python and in DuckDB, and depend on what they are made of."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from headset.core.errors import InvalidInput
from headset.features.aggregation import Count, Last, Mean, VectorMean
from headset.features.definition import Feature, FeatureService, FeatureView
from headset.features.expression import column, seconds_since
from headset.features.on_demand import REQUEST, OnDemandFeature, evaluate, evaluate_table

SIZE = 3
MOOD = FeatureView(
    name="mood",
    entity="conversation",
    event="TurnReceived",
    features=(
        Feature(name="sentiment", expression=column("sentiment"), aggregation=Mean(), window="1 h"),
        Feature(name="turns", aggregation=Count(), window="conversation"),
        Feature(name="speaker", expression=column("speaker"), aggregation=Last(), window="1 h"),
        Feature(name="angry", expression=column("sentiment") < 0, aggregation=Last(), window="1 h"),
        Feature(name="topic", expression=column("embedding"), aggregation=VectorMean(SIZE), window="1 h"),
    ),
    owner="care",
    description="How customers sound.",
)
FELL = OnDemandFeature(name="fell", expression=column("mood.sentiment") - column("sentiment"), default=0)
SERVICE = FeatureService(name="risk", views=(MOOD,), owner="care", description="", on_demand=(FELL,))

SOME = st.sampled_from((0.0, -0.0, 1.0, -1.5, 0.1, 1e10, -1e10, 1e-300, 1e300, 3.0))
numbers = st.deferred(
    lambda: (
        st.sampled_from([column(name) for name in ("sentiment", "position", "mood.sentiment", "mood.turns")])
        | st.builds(lambda left, right: left + right, numbers, numbers | SOME)
        | st.builds(lambda left, right: left * right, numbers, numbers | SOME)
        | st.builds(lambda left, right: left / right, SOME | numbers, numbers)
        | st.builds(lambda left, right: left.otherwise(right), numbers, numbers | SOME)
    )
)
words = st.sampled_from((column("intent"), column("mood.speaker"), column("queue").otherwise(column("mood.speaker"))))
flags = st.deferred(
    lambda: (
        st.just(column("mood.angry"))
        | st.builds(lambda left, right: left < right, numbers, numbers | SOME)
        | st.builds(lambda left, right: left.equals(right), words, words | st.sampled_from("ab"))
        | st.builds(lambda left, right: left & right, flags, flags | st.booleans())
        | st.builds(lambda left: ~left, flags)
        | st.builds(lambda left: left.is_null(), numbers | words)
    )
)
WORDS = st.none() | st.sampled_from(("a", "b", "it's"))
rows = st.fixed_dictionaries(
    {
        "sentiment": st.none() | SOME | st.floats(-1, 1),
        "position": st.none() | st.integers(0, 9),
        "intent": WORDS,
        "queue": WORDS,
        "mood.sentiment": st.none() | SOME | st.floats(),
        "mood.turns": st.integers(0, 9),
        "mood.speaker": WORDS,
        "mood.angry": st.none() | st.booleans(),
        "mood.topic": st.just([0.5] * SIZE),
    }
)
TYPES = pa.schema(
    {
        "sentiment": pa.float64(),
        "position": pa.int64(),
        "intent": pa.dictionary(pa.int32(), pa.string()),
        "queue": pa.string(),
        "mood.sentiment": pa.float64(),
        "mood.turns": pa.int64(),
        "mood.speaker": pa.string(),
        "mood.angry": pa.bool_(),
        "mood.topic": pa.list_(pa.float32(), SIZE),
    }
)


@settings(max_examples=40)
@given(
    expressions=st.lists(
        st.tuples(numbers, st.none() | SOME)
        | st.tuples(flags, st.none() | st.booleans())
        | st.tuples(words, st.none() | st.just("c")),
        max_size=4,
    ),
    given_rows=st.lists(rows, max_size=5),
    only=st.booleans(),
)
def test_python_and_duckdb_give_the_same(expressions, given_rows, only):
    on_demand = tuple(
        OnDemandFeature(name=f"f{place}", expression=expression, default=default)
        for place, (expression, default) in enumerate(expressions)
    )
    names = ("mood.angry", "mood.sentiment", "mood.speaker", "mood.turns")
    service = structs.replace(SERVICE, on_demand=on_demand, only=names if only else ())
    table = evaluate_table(service, pa.Table.from_pylist(given_rows, TYPES))
    one_by_one = [evaluate(service, row, {name: row[name] for name in row if "." not in name}) for row in given_rows]
    assert table.column_names == list(service.versions)
    assert table.num_rows == len(given_rows)
    assert [repr(row) for row in table.to_pylist()] == [repr(row) for row in one_by_one]


def test_all_features_come_in_the_order_of_the_versions():
    stored = {"mood.sentiment": 0.5, "mood.turns": 2, "mood.speaker": "bot", "mood.angry": None}
    vector = np.zeros(SIZE, np.float32)
    found = evaluate(SERVICE, stored | {"mood.topic": vector}, {"sentiment": -0.25, "intent": "refund"})
    assert list(found) == list(SERVICE.versions) == list(SERVICE.kinds) == sorted(found)
    assert found["on_demand.fell"] == 0.75
    assert found["mood.topic"] is vector
    assert SERVICE.kinds["on_demand.fell"] == "number"
    assert set(SERVICE.stored) == set(SERVICE.versions) - {"on_demand.fell"}


def test_what_is_unknown_of_a_request_is_null_and_null_has_the_default():
    stored = dict.fromkeys(SERVICE.stored)
    assert evaluate(SERVICE, stored, {})["on_demand.fell"] == 0.0
    without = structs.replace(SERVICE, on_demand=(structs.replace(FELL, default=None),))
    assert evaluate(without, stored, {})["on_demand.fell"] is None


def test_a_number_no_model_can_read_is_null():
    ratio = OnDemandFeature(name="ratio", expression=column("sentiment") * 1e300 * 1e300)
    service = structs.replace(SERVICE, on_demand=(ratio,))
    assert evaluate(service, dict.fromkeys(SERVICE.stored), {"sentiment": 1.0})["on_demand.ratio"] is None


def test_an_on_demand_feature_is_made_ready_once():
    assert SERVICE.on_demand_plan is SERVICE.on_demand_plan


def test_its_version_follows_its_meaning_and_the_features_it_is_made_of():
    def version(service):
        return service.versions["on_demand.fell"]

    told = structs.replace(SERVICE, on_demand=(structs.replace(FELL, description="How far it fell."),))
    assert version(told) == version(SERVICE)
    for feature in (structs.replace(FELL, default=1), structs.replace(FELL, expression=FELL.expression * 1)):
        assert version(structs.replace(SERVICE, on_demand=(feature,))) != version(SERVICE)
    longer = tuple(structs.replace(feature, window="2 h") for feature in MOOD.features if feature.name == "sentiment")
    rest = tuple(feature for feature in MOOD.features if feature.name != "sentiment")
    assert version(structs.replace(SERVICE, views=(structs.replace(MOOD, features=longer + rest),))) != version(SERVICE)
    other = tuple(
        structs.replace(feature, window="2 h") if feature.name == "speaker" else feature for feature in MOOD.features
    )
    assert version(structs.replace(SERVICE, views=(structs.replace(MOOD, features=other),))) == version(SERVICE)
    assert version(SERVICE) == "5c115f791003"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expression": column("sentimnt") + 1}, "risk.on_demand.fell.expression.sentimnt: is no column here; there"),
        ({"expression": column("mood.temper")}, "risk.on_demand.fell.expression.mood.temper: is no column here"),
        ({"expression": column("intent") + 1}, "risk.on_demand.fell.expression.intent: is a word; [+] needs a number"),
        ({"expression": column("mood.topic").is_null()}, "risk.on_demand.fell.expression.mood.topic: is a vector"),
        ({"expression": seconds_since("TurnReceived")}, "risk.on_demand.fell.expression: looks at other events"),
        ({"default": "none"}, "risk.on_demand.fell.default: 'none' is not a number"),
        ({"default": float("nan")}, "risk.on_demand.fell.default: nan is not a finite number"),
        ({"name": "Fell"}, "risk.on_demand: 'Fell' is no name"),
    ],
)
def test_one_that_cannot_be_computed_is_refused_by_name(change, message):
    with pytest.raises(InvalidInput, match=message):
        structs.replace(SERVICE, on_demand=(structs.replace(FELL, **change),))


def test_the_same_name_twice_is_refused():
    with pytest.raises(InvalidInput, match=r"risk.on_demand: holds 'fell' twice"):
        structs.replace(SERVICE, on_demand=(FELL, FELL))


def test_it_is_made_only_of_what_its_service_takes():
    with pytest.raises(InvalidInput, match=r"risk.on_demand.fell.expression.mood.sentiment: is no column here"):
        structs.replace(SERVICE, only=("mood.turns",))


@pytest.mark.parametrize("name", ["sentiment", "mood.sentiment", "mood.turns"])
def test_a_column_that_is_missing_is_named(name):
    table = pa.Table.from_pylist([], TYPES)
    with pytest.raises(InvalidInput, match=f"table.{name}: is missing"):
        evaluate_table(SERVICE, table.drop_columns([name]))


@pytest.mark.parametrize(
    ("sentiment", "message"),
    [
        (pa.array(["0.5", None, "high"]), "holds 'high' in row 3, which is no number; correct it or make it null"),
        (pa.array(["0.5", "x", "y"]).dictionary_encode(), "holds 'x' in row 2"),
        (pa.array([[1.0]] * 3), "is list<item: double>; give numbers, or leave the column out"),
        (pa.array([0.5, float("nan"), float("-inf")]), r"is not finite in 2 of 3 rows, first in row 2 \(nan\); give"),
        (pa.array(["1", "2", "1e400"]), r"is not finite in 1 of 3 rows, first in row 3 \(inf\)"),
    ],
)
def test_a_column_of_another_kind_is_named_with_its_first_row(sentiment, message):
    table = pa.table({name: [1.0] * 3 for name in SERVICE.stored} | {"sentiment": sentiment})
    with pytest.raises(InvalidInput, match=f"table.sentiment: {message}"):
        evaluate_table(SERVICE, table)


def test_bytes_that_are_no_text_are_no_word():
    service = structs.replace(SERVICE, on_demand=(OnDemandFeature(name="said", expression=column("intent")),))
    table = pa.table({name: [1.0] for name in SERVICE.stored} | {"intent": [b"\xff"]})
    with pytest.raises(InvalidInput, match=r"table.intent: holds b'\\xff' in row 1, which is no word"):
        evaluate_table(service, table)


def test_columns_that_nobody_needs_may_be_of_any_type():
    table = pa.table({name: [1.0] for name in SERVICE.stored} | {"sentiment": pa.array([0.5], pa.float16())})
    for name, kind in (("half", pa.float16()), ("map", pa.map_(pa.int8(), pa.int8())), ("took", pa.duration("us"))):
        table = table.append_column(name, pa.nulls(1, kind))
    assert evaluate_table(SERVICE, table)["on_demand.fell"].to_pylist() == [0.5]


def test_a_stored_value_that_is_missing_is_named():
    with pytest.raises(InvalidInput, match=r"stored.mood.angry: is missing; the service risk reads it"):
        evaluate(SERVICE, {}, {})


def test_requests_and_stored_features_cannot_be_confused():
    assert not [name for name in REQUEST if "." in name]
