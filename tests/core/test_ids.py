from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from headset.core.clock import ManualClock
from headset.core.ids import Ids, stable_id


def test_ids_made_within_one_millisecond_increase_strictly():
    ids = Ids(ManualClock(1_700_000_000_000_000), Random(1))
    made = [ids.new() for _ in range(10_000)]
    assert made == sorted(set(made))


def test_ids_increase_when_the_clock_steps_back():
    clock = ManualClock(1_700_000_000_000_000)
    ids = Ids(clock, Random(1))
    before = ids.new()
    clock.advance(-60)
    assert ids.new() > before


def test_an_id_tells_version_variant_and_millisecond():
    made = Ids(ManualClock(1_700_000_000_123_456), Random(1)).new()
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert made.int >> 80 == 1_700_000_000_123


def test_threads_never_make_the_same_id():
    ids = Ids(ManualClock(1), Random(1))
    with ThreadPoolExecutor(4) as pool:
        shares = list(pool.map(lambda _: [ids.new() for _ in range(2_000)], range(4)))
    assert len({made for share in shares for made in share}) == 8_000


@given(st.lists(st.text()), st.lists(st.text()))
def test_stable_ids_are_equal_exactly_when_their_parts_are(first, second):
    assert (stable_id(*first) == stable_id(*second)) == (first == second)
    assert stable_id(*first).version == 8
