"""Small data sets that are fit to train on, and what they are checked with."""

from __future__ import annotations

import random

import polars as pl
import pytest

from headset.data.quality.check import Beside, check_data
from headset.data.quality.table import table_of
from headset.features.static_encoder import load_encoder
from headset.twin.example import write_examples
from headset.twin.scenario import read_scenario
from headset.twin.world import make_world

NOW = 1_790_000_000_000_000
DAY_US = 86_400_000_000


@pytest.fixture(scope="session")
def encoder():
    return load_encoder()


@pytest.fixture(scope="session")
def written():
    """600 texts of 29 intents, a hundred more to test on, and 600 that were accepted before."""
    world, drawn = make_world(read_scenario("quiet_week")), random.Random(11)
    return [
        [
            {"text": each.text, "label": each.label, "language": each.language, "channel": each.channel, "time": NOW}
            for each in write_examples(world, count, drawn)
        ]
        for count in (600, 100, 600)
    ]


@pytest.fixture
def rows(written):
    return [dict(row) for row in written[0]]


@pytest.fixture
def make():
    """``make(rows)`` gives their table."""

    def run(rows, name="mine", **options):
        columns = {"text": pl.String, "label": pl.String}
        frame = pl.DataFrame(rows, infer_schema_length=None) if rows else pl.DataFrame(schema=columns)
        return table_of(frame, name, **options)

    return run


@pytest.fixture
def test_table(written, make):
    return make(written[1], "test")


@pytest.fixture
def reference(written, make):
    return make(written[2], "reference")


@pytest.fixture
def check(make, encoder):
    """``check(rows, "empty", reference=...)`` gives one finding; without a name, the report."""

    def run(rows, name=None, *, now=NOW, limits=None, **beside):
        options = {} if limits is None else {"limits": limits}
        options |= {} if name is None else {"only": (name,)}
        report = check_data(make(rows), encoder=encoder, now=now, beside=Beside(**beside), **options)
        return report if name is None else report.finding(name)

    return run
