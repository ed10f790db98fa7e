from __future__ import annotations

import random

import pyarrow as pa
import pytest

from headset.core.errors import InvalidInput
from headset.features.aggregation import Count, Ewma, First, Last, Max, Mean, Quantile, Sum
from headset.features.batch import History
from headset.features.definition import Feature, FeatureView
from headset.features.expression import column
from headset.features.fact import Fact

MINUTE = 60_000_000
START = 20_000 * 1_440 * MINUTE
AGGREGATIONS = (Mean(), Sum(), Max(), Last(), First(), Count(), Quantile(0.5), Ewma("1 h"))
VIEW = FeatureView(
    name="v",
    entity="conversation",
    event="TurnReceived",
    features=tuple(
        Feature(
            name=f"f{place}", expression=column("sentiment"), aggregation=aggregation, window="6 h", default=default
        )
        for place, (aggregation, default) in enumerate(
            (one, 0.0 if one.of_nothing is None else None) for one in AGGREGATIONS
        )
    ),
    owner="",
    description="",
)


def fact(number, time, value, *, conversation="c", offset=None):
    keys = {"conversation": conversation}
    event_id = number.to_bytes(16, "big")
    return Fact("TurnReceived", event_id, time, time, offset or number, keys, {"sentiment": value})


@pytest.fixture
def history():
    history = History()
    yield history
    history.close()


def test_every_row_is_kept_in_its_place(history):
    history.add([fact(1, START, 0.5)])
    rows = pa.table(
        {
            "label": ["late", "early", "unheard", "nobody", "late", "never"],
            "conversation": ["c", "c", "x", None, "c", "c"],
            "as_of": [START + 5, START - 5, START, START, START + 5, None],
        }
    )
    found = history.values([VIEW], rows)
    assert found.select(["label", "conversation", "as_of"]).equals(rows)
    assert found["v.f3"].to_pylist() == [0.5, 0.0, 0.0, 0.0, 0.5, 0.0]
    assert found["v.f5"].to_pylist() == [1, 0, 0, 0, 1, 0]


def test_a_history_or_a_question_may_be_empty(history):
    rows = pa.table({"conversation": ["c"], "as_of": [START]})
    assert history.values([VIEW], rows)["v.f5"].to_pylist() == [0]
    assert history.values([VIEW], rows.slice(1)).num_rows == 0


def test_what_was_not_known_yet_is_not_seen(history):
    history.add([fact(1, START + 1, 0.5, offset=1), fact(2, START, 0.25, offset=2)])
    rows = pa.table({"conversation": ["c"], "as_of": [START + 9]})
    assert [history.values([VIEW], rows, known_to=offset)["v.f1"].to_pylist() for offset in (0, 1, 2)] == [
        [0.0],
        [0.5],
        [0.75],
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"conversation": ["c"]}, r"rows\.as_of: is missing"),
        ({"as_of": [START]}, r"rows\.conversation: is missing"),
        ({"conversation": ["c"], "as_of": [1.5]}, r"rows\.as_of: is double"),
        ({"conversation": ["c"], "as_of": [-1]}, r"rows\.as_of: holds a moment before 1970"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(history, rows, message):
    with pytest.raises(InvalidInput, match=message):
        history.values([VIEW], pa.table(rows))


def test_a_signal_that_lies_in_the_future_tells_nothing(history, seed):
    """Each label is written into the facts right after its moment: one microsecond to five hours."""
    rng = random.Random(seed)
    count = 12_000
    labels = [rng.random() < 0.5 for _ in range(count)]
    facts, moments = [], []
    for number, label in enumerate(labels):
        moments.append(START + rng.randrange(10_000) * MINUTE)
        told = 1.0 if label else -1.0
        times = (
            moments[-1] + 1,
            moments[-1] + rng.randrange(300) * MINUTE + 1,
            moments[-1] - rng.randrange(300) * MINUTE,
        )
        values = (told, told, rng.uniform(-1, 1))
        facts += [
            fact(3 * number + place + 1, time, value, conversation=f"c{number}")
            for place, (time, value) in enumerate(zip(times, values, strict=True))
        ]
    history.add(rng.sample(facts, len(facts)))
    keys = [f"c{number}" for number in range(count)]
    found = history.values([VIEW], pa.table({"conversation": keys, "as_of": moments}))
    for feature in VIEW.features:
        assert area(found[f"v.{feature.name}"].to_pylist(), labels) == pytest.approx(0.5, abs=0.02), feature.name
    # The same facts, asked for a minute later, tell all: the test would notice.
    later = history.values([VIEW], pa.table({"conversation": keys, "as_of": [moment + 1 for moment in moments]}))
    assert area(later["v.f3"].to_pylist(), labels) == 1.0


def area(scores, labels) -> float:
    """Area under the ROC curve: how often a positive outranks a negative, ties counting half (Mann & Whitney 1947)."""
    ranked = sorted(zip(scores, labels, strict=True))
    below = wins = 0.0
    place = 0
    while place < len(ranked):
        end = place
        while end < len(ranked) and ranked[end][0] == ranked[place][0]:
            end += 1
        positive = sum(label for _, label in ranked[place:end])
        negative = end - place - positive
        wins += positive * (below + negative / 2)
        below += negative
        place = end
    return wins / (sum(labels) * (len(labels) - sum(labels)))
