from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.events.schema import ConversationEnded, Event, LabelRecorded, OutcomeRecorded
from headset.training.risk.label import Ending


def event(payload, time=100):
    return Event(event_id=UUID(int=1), event_time=time, subject="customer:ana", source="test", payload=payload)


def rating(value, rater=None, turn_id=None):
    return LabelRecorded(kind="satisfaction", value=value, rater=rater, turn_id=turn_id)


def ending(*payloads):
    found = Ending()
    for time, payload in enumerate(payloads, 100):
        found.hear(event(payload, time))
    return found


@pytest.mark.parametrize(
    ("told", "is_bad"),
    [
        ([], None),
        ([ConversationEnded(ended_by="customer")], None),
        ([rating("1", turn_id="3")], None),
        ([LabelRecorded(kind="intent", value="refund")], None),
        ([rating("soso")], None),
        ([rating("nan"), rating("7")], None),
        ([OutcomeRecorded(reopened=True)], None),
        ([rating("3", "1"), rating("3", "2"), rating("2", "3")], True),
        ([rating("3", "1"), rating("3", "2")], False),
        ([rating("2", "1"), rating("4", "1")], False),
        ([OutcomeRecorded(csat=2.0)], True),
        ([OutcomeRecorded(csat=3.0)], False),
        ([OutcomeRecorded(csat=1.0), rating("4")], False),
        ([OutcomeRecorded(resolution="resolved")], False),
        ([OutcomeRecorded(resolution="abandoned", csat=5.0)], True),
        ([OutcomeRecorded(resolution="unresolved"), OutcomeRecorded(resolution="resolved")], False),
        ([OutcomeRecorded(resolution="resolved"), OutcomeRecorded(csat=1.0)], True),
    ],
)
def test_a_conversation_ends_badly_when_unresolved_or_rated_below_three(told, is_bad):
    assert ending(*told).is_bad is is_bad


def test_it_is_known_from_the_first_word_on_the_end():
    assert ending(ConversationEnded(ended_by="bot"), rating("2"), OutcomeRecorded(csat=1.0)).known_at == 101


@given(
    st.permutations(
        [
            event(rating("2", "1"), 5), event(rating("4", "1"), 9), event(rating("3", "2"), 4),
            event(OutcomeRecorded(resolution="unresolved"), 6), event(OutcomeRecorded(resolution="resolved"), 7),
            event(OutcomeRecorded(csat=1.0), 8),
        ]
    )
)  # fmt: skip
def test_the_order_of_arrival_does_not_matter(events):
    found = Ending()
    for each in events:
        found.hear(each)
    assert (found.rating, found.is_bad, found.known_at) == (3.5, False, 4)
