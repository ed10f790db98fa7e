"""Work in several threads at once."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # the suites in tests/contracts


@pytest.fixture
def together():
    """``together(count, work)`` calls ``work(number)`` in so many threads that start at once; gives their results."""

    def run(count, work):
        start = threading.Barrier(count)

        def begin(number):
            start.wait()
            return work(number)

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(begin, range(count)))

    return run
