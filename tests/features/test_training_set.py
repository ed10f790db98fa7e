from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from headset.core.clock import ManualClock
from headset.core.errors import InvalidInput, StorageFailed
from headset.events.memory import MemoryLog
from headset.events.schema import Event, OutcomeRecorded, TurnReceived
from headset.events.vault import Vault
from headset.features.aggregation import Count, Ewma, First, Last, Max, Mean, Quantile, Sum, VectorMean
from headset.features.batch import History
from headset.features.definition import Feature, FeatureService, FeatureView
from headset.features.expression import column, seconds_since
from headset.features.fact import Fact
from headset.features.log_history import event_types, log_history, signals_of
from headset.features.on_demand import OnDemandFeature
from headset.features.sentiment import Sentiment
from headset.features.signal import SignalReader
from headset.features.static_encoder import load_encoder
from headset.features.training_set import TrainingSet, build_training_set, check_rows, fingerprint

MINUTE = 60_000_000
START = 20_000 * 1_440 * MINUTE
MOOD = FeatureView(
    name="mood",
    entity="conversation",
    event="TurnReceived",
    features=tuple(
        Feature(name=type(one).__name__.lower(), expression=column("sentiment"), aggregation=one, window="6 h")
        for one in (Mean(), Sum(), Max(), Last(), First(), Count(), Quantile(0.5), Ewma("1 h"))
    ),
    owner="care",
    description="How the customer sounds.",
)
OUTCOME = FeatureView(
    name="outcome",
    entity="conversation",
    event="OutcomeRecorded",
    features=(Feature(name="csat", expression=column("csat"), aggregation=Last(), window="7 d", default=3),),
    owner="care",
    description="How satisfied the customer was.",
)
VECTOR = Feature(name="vector", expression=column("embedding"), aggregation=VectorMean(4), window="1 h")
SERVICE = FeatureService(name="risk", views=(MOOD, OUTCOME), owner="care", description="For tests.")


@pytest.fixture
def log():
    return MemoryLog(ManualClock(START + 500_000 * MINUTE))


@pytest.fixture
def reader(tmp_path):
    return SignalReader(Vault(tmp_path / "keys.db", bytes(32)), load_encoder(), Sentiment())


@pytest.fixture
def history():
    history = History()
    yield history
    history.close()


def turn(number, time, sentiment, *, of="c"):
    payload = TurnReceived(turn_id=str(number), position=0, speaker="customer", text="", sentiment=sentiment)
    return event(number, time, payload, of)


def event(number, time, payload, of="c"):
    return Event(
        event_id=UUID(int=number), event_time=time, subject=of, conversation_id=of, source="test", payload=payload
    )


def fact(number, time, sentiment, *, of="c", **columns):
    told = {"sentiment": sentiment, **columns}
    return Fact("TurnReceived", number.to_bytes(16, "big"), time, time, number, {"conversation": of}, told)


def rows_at(*moments, **columns):
    return pa.table({"conversation": ["c"] * len(moments), "as_of": pa.array(moments, pa.int64()), **columns})


def area(values, labels):
    """Area under the ROC curve: ties count half (Mann-Whitney)."""
    scores = np.array([0.0 if value is None else value for value in values])
    truth = np.array(labels)
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    positive = truth.sum()
    return (ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * (len(truth) - positive))


@pytest.fixture
def simulated(log, seed):
    """Conversations whose label shows in what is said after their moment only, and in the outcome.

    The log tells it all in random order, some of it twice, a part of the past long after.
    """
    rng = random.Random(seed)
    count = 6_000
    labels = [rng.random() < 0.5 for _ in range(count)]
    moments = [START + rng.randrange(10_000) * MINUTE for _ in range(count)]
    events = []
    for number, (moment, label) in enumerate(zip(moments, labels, strict=True)):
        of, told, at = f"c{number}", 1.0 if label else -1.0, 8 * number + 1
        events += [
            turn(at, moment - rng.randrange(300) * MINUTE, rng.uniform(-1, 1), of=of),
            turn(at + 1, moment, rng.uniform(-1, 1), of=of),
            turn(at + 2, moment + 1, told, of=of),
            turn(at + 3, moment + 1 + rng.randrange(300) * MINUTE, told, of=of),
            event(at + 4, moment + 1, OutcomeRecorded(csat=5.0 if label else 1.0), of),
        ]
    rng.shuffle(events)
    log.append([*events, *rng.sample(events, count // 50)])
    keys = [f"c{number}" for number in range(count)]
    rows = {"conversation": keys, "as_of": moments, "label": labels, "label_time": [moment + 1 for moment in moments]}
    return pa.table(rows)


def test_a_planted_signal_of_the_future_tells_nothing(simulated, log, reader):
    history, position, newest = log_history(log, reader, SERVICE.views)
    found = build_training_set(SERVICE, simulated, history=history, position=position, newest=newest)
    labels = simulated["label"].to_pylist()
    areas = {name: area(found.table[name].to_pylist(), labels) for name in found.features}
    assert len(areas) == 9
    assert found.rows == len(labels)
    print("AUC", {name: round(float(value), 4) for name, value in areas.items()})  # noqa: T201 - pytest -s shows it
    assert all(value == pytest.approx(0.5, abs=0.02) for value in areas.values()), areas

    # The test has power: one microsecond later, each feature but the count and the first knows the label.
    when = simulated.column_names.index("as_of")
    leaky = simulated.set_column(when, "as_of", simulated["label_time"])
    with pytest.raises(InvalidInput, match=r"rows\.as_of: is not before label_time.* in 6,000 of 6,000 rows"):
        build_training_set(SERVICE, leaky, history=history, position=position, newest=newest)
    unguarded = build_training_set(SERVICE, leaky.drop("label_time"), history=history, position=position).table
    assert area(unguarded["mood.last"].to_pylist(), labels) == 1.0
    assert area(unguarded["outcome.csat"].to_pylist(), labels) == 1.0
    assert area(unguarded["mood.mean"].to_pylist(), labels) > 0.8
    history.close()


def test_every_row_is_kept_in_its_place_with_all_its_columns(history):
    history.add([fact(1, START, 0.5)])
    rows = pa.table(
        {
            "note": ["late", "early", "unheard", "nobody", "late"],
            "conversation": ["c", "c", "x", None, "c"],
            "as_of": [START + 5, START - 5, START, START, START + 5],
            "label": [1, 0, None, 1, 1],
            "label_time": [START + 6, START, None, START + 6, START + 6],
        }
    )
    found = build_training_set(SERVICE, rows, history=history, position=1)
    assert found.table.select(rows.column_names).equals(rows)
    assert found.table.column_names == [*rows.column_names, *SERVICE.versions]
    assert found.table["mood.count"].to_pylist() == [1, 0, 0, 0, 1]
    assert found.table["mood.last"].to_pylist() == [0.5, None, None, None, 0.5]
    assert (found.rows, found.service, found.service_version) == (5, "risk", SERVICE.version)
    assert found.features == SERVICE.versions


def test_late_news_counts_by_when_it_happened_and_double_news_once(log, reader):
    log.append([turn(1, START + 9, 0.25), turn(2, START, 0.5), turn(1, START + 9, 0.25)])
    history, position, newest = log_history(log, reader, [MOOD])
    service = replace(SERVICE, views=(MOOD,), only=("mood.count", "mood.sum"))
    found = build_training_set(
        service, rows_at(START - 1, START, START + 9), history=history, position=position, newest=newest
    )
    assert found.table["mood.count"].to_pylist() == [0, 1, 2]
    assert found.table["mood.sum"].to_pylist() == [0, 0.5, 0.75]
    assert found.table.column_names == ["conversation", "as_of", "mood.count", "mood.sum"]


def test_a_training_set_is_the_same_after_the_log_has_grown(log, reader):
    log.append([turn(1, START, 0.5)])
    before = log_history(log, reader, [MOOD, OUTCOME])
    log.append([turn(2, START - 1, -0.5), event(3, START, OutcomeRecorded(csat=1.0))])
    after = log_history(log, reader, [MOOD, OUTCOME])
    again = log_history(log, reader, [MOOD, OUTCOME], until=before.position)
    rows = rows_at(START + 5)
    first, grown, limited, repeated = (
        build_training_set(SERVICE, rows, history=known.history, position=position)
        for known, position in ((before, 1), (after, after.position), (after, 1), (again, again.position))
    )
    assert first.fingerprint == limited.fingerprint == repeated.fingerprint != grown.fingerprint
    assert (before.position, after.position, again.position) == (1, 3, 1)


def test_views_say_which_events_and_signals_they_are_made_of():
    wait = Feature(name="wait", expression=seconds_since("HandoffRequested"), aggregation=Mean(), window="1 h")
    mixed = replace(MOOD, features=(wait, VECTOR))
    assert event_types([mixed, OUTCOME]) == {"TurnReceived", "HandoffRequested", "OutcomeRecorded"}
    assert signals_of([mixed]) == {"embedding"}
    assert signals_of([MOOD, OUTCOME]) == {"sentiment"}
    assert event_types([]) == signals_of([]) == set()


def test_only_what_the_views_need_is_read(log, reader):
    log.append([turn(1, START, None), event(2, START, OutcomeRecorded(csat=1.0))])
    fractions = []
    known = log_history(log, reader, [OUTCOME], progress=fractions.append)  # a turn's text could not be opened
    assert known.history.values([OUTCOME], rows_at(START))["outcome.csat"].to_pylist() == [1.0]
    assert fractions[-1] == 1.0
    assert log_history(MemoryLog(ManualClock()), reader, [OUTCOME])[1:] == (0, 0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            rows_at(START, START + 5, START + 9, label=[0, 1, 1], label_time=[START + 1, START + 5, START + 6]),
            r"in 2 of 3 rows, first in row 2 \(as_of 2024-10-04T\S*5Z, label_time 2024-10-04T\S*5Z\); give",
        ),
        (rows_at(START, label=[1], label_time=pa.nulls(1, pa.int64())), r"rows\.label_time: is null although there is"),
        (rows_at(START, label_time=[START + 1]), r"rows\.label_time: dates a label that is not there"),
        (rows_at(START, label=[1], label_time=["x"]), r"rows\.label_time: is string; give int64"),
        (rows_at(START, label=[1], label_time=[-1]), r"rows\.label_time: is before 1970"),
        (rows_at(START, None), r"rows\.as_of: is null in 1 of 2 rows, first in row 2 \(as_of null\)"),
        (rows_at(-1), r"rows\.as_of: is before 1970 in 1 of 1 rows, first in row 1 \(as_of -1 µs\)"),
        (rows_at(START + 11), r"rows\.as_of: is after the log's last event \(2024-10-04T00:00:00\.000010Z\)"),
        (rows_at(1 << 62), r"as_of 4611686018427387904 µs"),
        (pa.table({"as_of": [0.5], "conversation": ["c"]}), r"rows\.as_of: is double; give int64"),
        (pa.table({"as_of": [START]}), r"rows\.conversation: is missing, the columns are as_of; risk needs it"),
        (pa.table({"conversation": ["c"]}), r"rows\.as_of: is missing"),
        (pa.table({"as_of": [START], "conversation": [7]}), r"rows\.conversation: is int64; keys are texts"),
        (rows_at(START, **{"mood.mean": [1.0]}), r"rows\.mood\.mean: would stand in the training set twice"),
        (rows_at(START).append_column("as_of", pa.array([1])), r"rows\.as_of: would stand in the training set twice"),
    ],
)
def test_rows_that_cannot_be_or_would_see_their_label_are_refused(history, rows, message):
    with pytest.raises(InvalidInput, match=message):
        build_training_set(SERVICE, rows, history=history, position=1, newest=START + 10)


def test_a_file_gives_back_the_set_and_any_other_is_refused(history, tmp_path):
    history.add([fact(1, START, 0.5, embedding=np.ones(4, "<f4").tobytes())])
    service = replace(SERVICE, views=(replace(MOOD, features=(*MOOD.features, VECTOR)), OUTCOME))
    when = pa.array([START // 1_000_000, None], pa.timestamp("s"))
    rows = rows_at(START - 5, START + 5, label=["yes", None], seen=when)
    made = build_training_set(service, rows, history=history, position=1)
    assert made.table["mood.vector"].to_pylist() == [[0.0] * 4, [1.0] * 4]
    path = tmp_path / "set.parquet"
    made.write(path)
    read = TrainingSet.read(path)
    assert read.table.drop("seen").equals(made.table.drop("seen"))
    assert replace(read, table=None) == replace(made, table=None)
    assert [file.name for file in tmp_path.iterdir()] == ["set.parquet"]

    with pytest.raises(StorageFailed, match=r"cannot be written \(File name too long\)"):
        made.write(tmp_path / ("x" * 250))  # too long with what is put around it
    with pytest.raises(InvalidInput, match="cannot be read"):
        TrainingSet.read(tmp_path / "gone.parquet")
    pq.write_table(rows, tmp_path / "other.parquet")
    with pytest.raises(InvalidInput, match="is no training set"):
        TrainingSet.read(tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("no Parquet at all")
    with pytest.raises(InvalidInput, match="is not Parquet"):
        TrainingSet.read(tmp_path / "text.parquet")
    stored = pq.read_table(path)
    for damaged in (b"{", b'{"service": 1}', b'{"service": "\xff"}'):
        pq.write_table(stored.replace_schema_metadata(dict.fromkeys(stored.schema.metadata, damaged)), path)
        with pytest.raises(InvalidInput, match="is damaged: what it says of its features is lost; make it again"):
            TrainingSet.read(path)
    pq.write_table(stored.slice(1), path)
    with pytest.raises(InvalidInput, match="was changed after it was written"):
        TrainingSet.read(path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/dev/full", "out: /dev/full is no regular file"),
        ("/", "out: / is no regular file"),
        (".", r"out: \. is no regular file"),
        ("gone/set.parquet", "out: gone is no folder that takes files"),
        ("x" * 300, r"out: x+ cannot be written \(File name too long\)"),
    ],
)
def test_only_a_regular_file_is_replaced(history, path, message):
    made = build_training_set(SERVICE, rows_at(START), history=history, position=1)
    with pytest.raises(InvalidInput, match=message):
        made.write(Path(path))


def test_rows_are_checked_without_the_log():
    on_demand = OnDemandFeature(name="now", expression=column("sentiment"))
    service = replace(SERVICE, on_demand=(on_demand,))
    check_rows(service, rows_at(START, sentiment=[0.5]))
    for wrong, message in (({"sentiment": [float("inf")]}, "not finite"), ({}, "sentiment: is missing")):
        with pytest.raises(InvalidInput, match=message):
            check_rows(service, rows_at(START, **wrong))
    with pytest.raises(InvalidInput, match="not before label_time"):
        check_rows(service, rows_at(START, sentiment=[0.5], label=[1], label_time=[START]))


def test_columns_of_odd_types_stay_as_they_are(history, tmp_path):
    odd = {
        "half": pa.array([0.5], pa.float16()),
        "map": pa.array([[(1, 2)]], pa.map_(pa.int8(), pa.int8())),
        "deep": pa.array([{"a": [1]}], pa.struct({"a": pa.large_list(pa.int8())})),
        "took": pa.array([1_001], pa.duration("ns")),
        "seen": pa.array([1_001], pa.timestamp("ns")),
        "none": pa.nulls(1),
    }
    made = build_training_set(SERVICE, rows_at(START, **odd), history=history, position=1)
    made.write(tmp_path / "set.parquet")
    assert TrainingSet.read(tmp_path / "set.parquet").fingerprint == made.fingerprint


def test_of_a_file_with_one_bit_turned_nothing_or_the_same_table_is_read(history, tmp_path, seed):
    history.add([fact(1, START, 0.5)])
    path = tmp_path / "set.parquet"
    made = build_training_set(SERVICE, rows_at(START, label=["yes"]), history=history, position=1)
    made.write(path)
    whole = path.read_bytes()
    rng = random.Random(seed)
    for _ in range(300):
        content = bytearray(whole)
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        with suppress(InvalidInput):
            assert TrainingSet.read(path).table.to_pylist() == made.table.to_pylist()


_columns = st.one_of(
    st.lists(st.none() | st.floats(allow_nan=False), min_size=4, max_size=4).map(lambda x: pa.array(x, pa.float64())),
    st.lists(st.none() | st.text(), min_size=4, max_size=4).map(lambda x: pa.array(x, pa.string())),
    st.lists(st.none() | st.booleans(), min_size=4, max_size=4).map(lambda x: pa.array(x, pa.bool_())),
    st.lists(st.none() | st.lists(st.floats(-9, 9), min_size=2, max_size=2), min_size=4, max_size=4).map(
        lambda x: pa.array(x, pa.list_(pa.float64(), 2))
    ),
)


@given(columns=st.lists(_columns, min_size=1, max_size=3), cut=st.integers(0, 4), other=_columns)
def test_equal_content_has_an_equal_fingerprint_and_other_content_another(columns, cut, other):
    names = [f"c{place}" for place in range(len(columns))]
    table = pa.table(columns, names)
    assert fingerprint(pa.concat_tables([table.slice(0, cut), table.slice(cut)])) == fingerprint(table)
    changed = table.set_column(0, "c0", other)
    assert (fingerprint(changed) == fingerprint(table)) == (
        repr(changed.to_pylist()) == repr(table.to_pylist()) and changed.schema == table.schema
    )
    assert fingerprint(table.rename_columns([*names[1:], "z"])) != fingerprint(table)
