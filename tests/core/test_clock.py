from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.core.clock import ManualClock, SystemClock, iso, parse_iso
from headset.core.errors import InvalidInput


@given(st.integers(min_value=0, max_value=parse_iso("9998-12-31T23:59:59.999999Z", field="end")))
def test_a_moment_survives_the_way_through_text(moment):
    assert parse_iso(iso(moment), field="event_time") == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-22T10:00:00", "2026-13-01T00:00:00Z"])
def test_a_text_that_names_no_moment_is_refused_by_the_name_of_its_field(text):
    with pytest.raises(InvalidInput) as caught:
        parse_iso(text, field="event_time")
    assert caught.value.field == "event_time"


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "1969-12-31T23:59:59.999999Z",
        "9999-01-01T00:00:00Z",
        "1970-01-01T00:00:00+00:01",
    ],
)
def test_a_moment_outside_the_years_that_can_be_kept_is_refused(text):
    with pytest.raises(InvalidInput, match="1970 to 9998"):
        parse_iso(text, field="event_time")


def test_the_zone_counts_before_the_year_does():
    assert parse_iso("1969-12-31T23:59:00-00:01", field="event_time") == 0


def test_a_manual_clock_moves_when_told_to():
    clock = ManualClock(5_000_000)
    clock.advance(0.25)
    assert (clock.now(), clock.monotonic()) == (5_250_000, 5.25)


def test_the_system_clock_counts_microseconds_and_goes_on():
    clock = SystemClock()
    first, started = clock.now(), clock.monotonic()
    assert clock.now() >= first > 1_700_000_000_000_000
    assert clock.monotonic() >= started
