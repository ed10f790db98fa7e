"""Lets tests import the suites in ``tests/contracts``; jobs on a log in memory."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from headset.core.clock import ManualClock
from headset.core.ids import Ids
from headset.events.memory import MemoryLog
from headset.jobs.store import Jobs

sys.path.insert(0, str(Path(__file__).parents[1]))


@pytest.fixture
def clock():
    return ManualClock(1_700_000_000_000_000)


@pytest.fixture
def log(clock):
    return MemoryLog(clock)


@pytest.fixture
def jobs(log, clock, tmp_path):
    made = Jobs(
        log, tmp_path / "projections", tmp_path / "jobs", clock, Ids(clock, random.Random(1)), check=lambda _: None
    )
    yield made
    made.close()
