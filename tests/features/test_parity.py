"""The two executions of one definition give the same values, to the last bit."""

from __future__ import annotations

import random
import sys
from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from headset.features.aggregation import Count, Distinct, Ewma, First, Last, Max, Mean, Min, Quantile, Sum, VectorMean
from headset.features.batch import History
from headset.features.definition import Feature, FeatureView
from headset.features.expression import column, seconds_since
from headset.features.fact import Fact
from headset.features.incremental import HOUR_US, Incremental

SECOND, MINUTE, HOUR, DAY = 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000
START = 20_000 * DAY
SIZE = 5
NUMBERS = (0.0, -0.0, 0.1, -0.7, 1 / 3, 5e-324, 1e-9, -1e-4, 12345.678, -99.5, 1e10, -1e10, 7.0, 7.0)

ANY_NUMBER = (Sum(), Mean(), Min(), Max(), First(), Last(), Distinct(), Count(), Quantile(0.9), Quantile(0.5))
SPEAKER, SENTIMENT, POSITION = column("speaker"), column("sentiment"), column("position")


def features(expressions, aggregations, windows):
    return tuple(
        Feature(name=f"f{number}", expression=expression, aggregation=aggregation, window=window)
        for number, (expression, aggregation, window) in enumerate(product(expressions, aggregations, windows))
    )


def default_of(feature, event):
    """A default where one may be given."""
    if feature.aggregation.of_nothing is None:
        return {"number": -2.5, "flag": True, "word": "none"}.get(feature.kind(event))
    return None


def view(name, entity, event, *groups, where=None):
    made = tuple(feature for group in groups for feature in group)
    numbered = tuple(
        structs.replace(one, name=f"f{number}", default=default_of(one, event) if number % 2 else None)
        for number, one in enumerate(made)
    )
    return FeatureView(name=name, entity=entity, event=event, features=numbered, owner="", description="", filter=where)


WORDS = (First(), Last(), Distinct(), Count())
ANSWER_S = seconds_since("TurnReceived", SPEAKER.equals("customer"))
VIEWS = (
    view(
        "dialogue",
        "conversation",
        "TurnReceived",
        features((SENTIMENT,), ANY_NUMBER, ("conversation", "1 min", "1 h")),
        features((SENTIMENT,), (Ewma("5 min"), Ewma("4 min")), ("1 h",)),
        features((SENTIMENT * POSITION - 0.5, (POSITION / SENTIMENT).otherwise(2)), (Mean(), Max(), Last()), ("1 d",)),
        features((SPEAKER, SPEAKER.equals("bot") & SENTIMENT.is_null()), WORDS, ("conversation", "30 s")),
        features((SENTIMENT > 0,), (Mean(), Sum(), Ewma("1 min")), ("15 min",)),
        features((column("embedding"),), (VectorMean(SIZE),), ("conversation", "1 min")),
        features((None,), (Count(),), ("conversation", "10 s", "1 d")),
    ),
    view(
        "person",
        "customer",
        "TurnReceived",
        features((SENTIMENT, column("event_time")), ANY_NUMBER, ("1 h", "1 d", "7 d")),
        features((SENTIMENT,), (Ewma("1 d"),), ("7 d", "3 d")),
        features((column("embedding"),), (VectorMean(SIZE),), ("7 d",)),
        where=SPEAKER.equals("customer") | (SENTIMENT < 0),
    ),
    view(
        "response",
        "agent",
        "TurnReceived",
        features((ANSWER_S, seconds_since("HandoffRequested")), ANY_NUMBER, ("1 h", "30 d")),
        where=SPEAKER.equals("agent"),
    ),
    view(
        "quick",
        "conversation",
        "TurnReceived",
        features((ANSWER_S,), (Mean(), Count(), Last()), ("conversation",)),
        where=(ANSWER_S < 3600) | ANSWER_S.is_null(),
    ),
    view(
        "waiting",
        "agent",
        "HandoffAccepted",
        features((seconds_since("HandoffRequested", column("queue").differs("b")),), ANY_NUMBER, ("1 d",)),
    ),
    view("load", "queue", "HandoffRequested", features((None,), (Count(),), ("1 min", "1 h", "7 d"))),
)


def fact(event, number, time, columns, conversation, customer=None, agent=None, queue=None):
    named = {"conversation": conversation, "customer": customer, "agent": agent, "queue": queue}
    return Fact(
        event=event,
        event_id=number.to_bytes(16, "big"),
        event_time=time,
        append_time=0,
        offset=0,
        keys={kind: key for kind, key in named.items() if key is not None},
        columns={name: value for name, value in columns.items() if value is not None},
    )


def happen(rng: random.Random, count: int) -> list[Fact]:
    """Made-up events, some at equal times."""
    step = rng.choice((1, SECOND, MINUTE, HOUR))
    found = []
    for _ in range(count):
        time = START + step * rng.randrange(max(1, count // 2))
        conversation = f"c{rng.randrange(4)}"
        customer = rng.choice(("ana", "bo", None))
        agent = rng.choice(("kim", "lee"))
        number = rng.getrandbits(64)
        kind = rng.random()
        if kind < 0.8:
            speaker = rng.choice(("customer", "agent", "bot"))
            columns = {
                "event_time": time / SECOND,
                "speaker": speaker,
                "position": float(rng.randrange(9)),
                "sentiment": rng.choice((None, rng.uniform(-1, 1), rng.uniform(-1, 1), rng.choice(NUMBERS))),
                "embedding": rng.choice((None, vector(rng, SIZE), vector(rng, SIZE), vector(rng, 3))),
            }
            spoke = agent if speaker == "agent" else None
            found.append(fact("TurnReceived", number, time, columns, conversation, customer, spoke))
        elif kind < 0.9:
            queue = rng.choice("ab")
            found.append(fact("HandoffRequested", number, time, {"queue": queue}, conversation, customer, queue=queue))
        else:
            found.append(fact("HandoffAccepted", number, time, {"agent_id": agent}, conversation, customer, agent))
    return found


def vector(rng, size):
    return np.array([rng.uniform(-1, 1) for _ in range(size)], "<f4").tobytes()


def arrive(rng: random.Random, events: list[Fact]) -> list[Fact]:
    """The events as a log has them: mostly in order, 5 % late, 2 % told again."""
    delays = [
        (0, SECOND, rng.choice((HOUR, DAY, 3 * DAY)))[(rng.random() > 0.5) + (rng.random() > 0.95)] for _ in events
    ]
    told = [(one.event_time + delay, one) for one, delay in zip(events, delays, strict=True)]
    told += [(when + rng.choice((0, MINUTE, DAY)), one) for when, one in told if rng.random() < 0.02]
    told.sort(key=lambda pair: pair[0])
    return [
        Fact(one.event, one.event_id, one.event_time, when, offset, one.keys, one.columns)
        for offset, (when, one) in enumerate(told, 1)
    ]


KEYS = {
    "conversation": ("c0", "c1", "c2", "c3", "unheard"),
    "customer": ("ana", "bo"),
    "agent": ("kim", "lee"),
    "queue": ("a", "b"),
}


def same(left, right) -> bool:
    if isinstance(left, np.ndarray):
        return left.tobytes() == np.asarray(right, np.float32).tobytes()
    return type(left) is type(right) and left == right and str(left) == str(right)


def compare(rng: random.Random, log: list[Fact], *, looks: int = 3, moments: int = 4) -> int:
    """Fold ``log`` and, at some moments, read all there is both ways; the number of values compared."""
    online, history = Incremental(VIEWS), History()
    history.add(log)
    compared, stops = 0, sorted(rng.sample(range(1, len(log) + 1), min(looks, len(log))))
    for one in log:
        online.update(one)
        if one.offset in stops:
            compared += look(rng, online, history, one, moments)
    history.close()
    return compared


def look(rng, online, history, newest, moments):
    compared = 0
    times = [
        newest.append_time + rng.choice((-HOUR_US, -1, 0, 1, SECOND, MINUTE, HOUR, DAY, 8 * DAY))
        for _ in range(moments)
    ]
    times = [max(newest.event_time if rng.random() < 0.5 else 0, time, newest.append_time - HOUR_US) for time in times]
    for one in VIEWS:
        asked = list(product(KEYS[one.entity], times))
        rows = pa.table({one.entity: [key for key, _ in asked], "as_of": [time for _, time in asked]})
        batch = history.values([one], rows, known_to=newest.offset)
        columns = {feature.name: batch[f"{one.name}.{feature.name}"].to_pylist() for feature in one.features}
        for place, (key, time) in enumerate(asked):
            for name, value in online.read(one.name, key, time).items():
                assert same(value, columns[name][place]), (one.name, name, key, time, value, columns[name][place])
                compared += 1
    return compared


@settings(max_examples=8)
@given(st.randoms(use_true_random=True), st.integers(1, 60))
def test_both_executions_give_the_same_values(rng, count):
    assert compare(rng, arrive(rng, happen(rng, count)), looks=1) > 0


@pytest.mark.slow
def test_no_value_differs_over_long_random_histories(seed, capsys):
    compared = 0
    for number in range(15):
        rng = random.Random(f"{seed} {number}")
        compared += compare(rng, arrive(rng, happen(rng, (50, 400, 1500)[number % 3])), moments=8)
    with capsys.disabled():
        sys.stdout.write(f" {compared:,} values compared, none differs ")
    assert compared >= 100_000


def everything(store: Incremental, times) -> list:
    return [
        value.tobytes() if isinstance(value, np.ndarray) else repr(value)
        for one in VIEWS
        for key, time in product(KEYS[one.entity], times)
        for value in store.read(one.name, key, time).values()
    ]


@settings(max_examples=30)
@given(st.randoms(use_true_random=True), st.integers(1, 150))
def test_the_order_of_arrival_makes_no_difference(rng, count):
    log = arrive(rng, happen(rng, count))
    times = [log[-1].append_time + gap for gap in (-HOUR_US, 0, DAY)]
    shuffled = rng.sample(log, len(log))
    stores = [Incremental(VIEWS), Incremental(VIEWS)]
    for store, facts in zip(stores, (log, shuffled), strict=True):
        for one in facts:
            store.update(one)
    assert everything(stores[0], times) == everything(stores[1], times)


@settings(max_examples=30)
@given(st.randoms(use_true_random=True), st.integers(1, 300))
def test_nothing_is_forgotten_that_a_read_can_reach(rng, count):
    """Against a store that forgets nothing, over views with short windows only."""
    picked = [(one, tuple(feature for feature in one.features if feature.window_us <= HOUR)) for one in VIEWS]
    short = [structs.replace(one, features=features) for one, features in picked if features]
    log = arrive(rng, happen(rng, count))
    store, keeping = Incremental(short, grace_us=HOUR), Incremental(short, grace_us=10_000 * DAY)
    for one in log:
        store.update(one)
        keeping.update(one)
        if rng.random() < 0.1:
            store.expire(one.append_time)
        view = rng.choice(short)
        key, time = rng.choice(KEYS[view.entity]), one.append_time + rng.choice((-HOUR, -MINUTE, 0, MINUTE))
        left, right = (kept.read(view.name, key, time) for kept in (store, keeping))
        assert all(same(value, right[name]) for name, value in left.items())
