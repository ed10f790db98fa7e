"""Planted faults: each distorts what it says, in its time, in its share, and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta
from statistics import fmean

import pytest

from headset.twin.customer import Customer
from headset.twin.fault import Faults
from headset.twin.stage import Contact, Outcome
from headset.twin.truth import PlantedFault, episodes

START = datetime(2026, 3, 2)  # noqa: DTZ001 - the centre's own clock
HOUR_S = 3_600.0
FULL = Outcome(resolution="resolved", handle_time_s=300.0, csat=4, reopened=True)


def fault(kind, field="", share=1.0):
    """From the second hour to the fourth."""
    return {
        "name": f"{kind} {field}".strip(),
        "kind": kind,
        "field": field,
        "start": START + timedelta(hours=1),
        "end": START + timedelta(hours=3),
        "share": share,
    }


@pytest.fixture
def faults(small):
    return lambda *planted: Faults(small(faults=list(planted)))


def contact(number=1):
    return Contact(f"c-{number}", Customer("ana", "es", {"region": "north"}, 0), "roaming", "chat", 0.0, "1")


KINDS = [
    fault("missing_field", "csat"),
    fault("missing_field", "handle_time_s"),
    fault("wrong_unit", "handle_time_s"),
    fault("stuck_feed", "csat"),
    fault("duplicates"),
]


@pytest.mark.parametrize("planted", KINDS, ids=lambda planted: planted["name"])
def test_outside_its_time_a_fault_changes_nothing(faults, planted):
    told = faults(planted)
    for hour in (0.0, 0.999, 3.0, 100.0):
        assert told.outcomes(contact(), FULL, hour * HOUR_S) == [FULL]
        assert told.attributes(contact(), hour * HOUR_S) == ("es", {"region": "north"})


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        (KINDS[0], [Outcome(resolution="resolved", handle_time_s=300.0, reopened=True)]),
        (KINDS[1], [Outcome(resolution="resolved", csat=4, reopened=True)]),
        (KINDS[2], [Outcome(resolution="resolved", handle_time_s=300_000.0, csat=4, reopened=True)]),
        (KINDS[4], [FULL, FULL]),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_in_its_time_a_fault_changes_what_it_says_and_only_that(faults, planted, expected):
    told = faults(planted)
    for hour in (1.0, 2.999):
        assert told.outcomes(contact(), FULL, hour * HOUR_S) == expected
        assert told.attributes(contact(), hour * HOUR_S) == ("es", {"region": "north"})


def test_a_language_that_nobody_told_is_english_in_the_log(faults):
    told = faults(fault("missing_field", "language"))
    assert told.attributes(contact(), 2 * HOUR_S) == ("en", {"region": "north"})
    assert told.outcomes(contact(), FULL, 2 * HOUR_S) == [FULL]


def test_a_missing_segment_is_left_out(faults):
    told = faults(fault("missing_field", "region"))
    assert told.attributes(contact(), 2 * HOUR_S) == ("es", {})


def test_of_an_outcome_that_says_nothing_else_nothing_is_told(faults):
    told = faults(fault("missing_field", "csat"))
    assert told.outcomes(contact(), Outcome(csat=4), 2 * HOUR_S) == []


def test_a_stuck_feed_repeats_the_last_value_from_before_and_goes_on_as_it_should(faults):
    told = faults(fault("stuck_feed", "handle_time_s"))
    said = [
        told.outcomes(contact(number), Outcome(handle_time_s=100.0 + number), hour * HOUR_S)[0].handle_time_s
        for number, hour in enumerate((0.2, 0.4, 1.5, 2.5, 3.5))
    ]
    assert said == [100.0, 101.0, 101.0, 101.0, 104.0]


def test_a_feed_that_is_stuck_before_its_first_value_repeats_that(faults):
    told = faults(fault("stuck_feed", "csat"))
    said = [told.outcomes(contact(), Outcome(csat=csat), 2 * HOUR_S)[0].csat for csat in (4, 1, 5)]
    assert said == [4, 4, 4]


def test_a_stuck_feed_makes_up_no_value_where_there_is_none(faults):
    told = faults(fault("stuck_feed", "csat"))
    told.outcomes(contact(), Outcome(csat=4), 0.0)
    assert told.outcomes(contact(), Outcome(reopened=True), 2 * HOUR_S) == [Outcome(reopened=True)]


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
def test_a_fault_strikes_its_share(faults, share):
    told = faults(fault("wrong_unit", "handle_time_s", share=share))
    struck = [
        told.outcomes(contact(number), Outcome(handle_time_s=1.0), HOUR_S + number)[0].handle_time_s == 1_000.0
        for number in range(2_000)
    ]
    assert fmean(struck) == pytest.approx(share, abs=0.035)


def test_a_fault_that_strikes_a_share_changes_no_word_and_no_deed(faults):
    told, one, other = faults(fault("missing_field", "region", share=0.5)), contact(), contact()
    for _ in range(10):
        told.attributes(one, 2 * HOUR_S)
        told.outcomes(one, FULL, 2 * HOUR_S)
    assert one.words.random() == other.words.random()
    assert one.random.random() == other.random.random()


def test_two_faults_at_once_both_strike(faults):
    told = faults(fault("wrong_unit", "handle_time_s"), fault("duplicates"))
    assert [each.handle_time_s for each in told.outcomes(contact(), FULL, 2 * HOUR_S)] == [300_000.0] * 2


def test_the_truth_lists_every_fault(small):
    planted = [fault("wrong_unit", "handle_time_s", share=0.3), fault("duplicates")]
    listed = [each for each in episodes(small(faults=planted), 2.0) if isinstance(each, PlantedFault)]
    assert sorted((each.name, each.fault, each.field, each.share, each.start, each.end) for each in listed) == sorted(
        (each["name"], each["kind"], each["field"], each["share"], each["start"], each["end"]) for each in planted
    )
