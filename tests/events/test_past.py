"""The log as it was at an offset."""

from __future__ import annotations

from uuid import UUID

import pytest

from headset.core.clock import ManualClock
from headset.core.errors import StorageFailed
from headset.events.memory import MemoryLog
from headset.events.past import Past
from headset.events.schema import ConversationEnded, Event


def ended(number):
    return Event(
        event_id=UUID(int=number),
        event_time=number,
        subject="s",
        source="api",
        conversation_id="c",
        payload=ConversationEnded(ended_by="bot"),
    )


@pytest.fixture
def log():
    log = MemoryLog(ManualClock(0))
    log.append([ended(number) for number in range(1, 6)])
    return log


def test_nothing_behind_the_position_is_seen(log):
    past = Past(log, 3)
    assert [record.offset for record in past.read()] == [1, 2, 3]
    assert past.read(3) == []
    assert [record.offset for record in past.conversation("c")] == [1, 2, 3]
    assert past.head() == 3
    assert past.get(UUID(int=3)) == log.get(UUID(int=3))
    assert past.get(UUID(int=4)) is None


def test_what_is_appended_later_is_not_seen_either(log):
    past = Past(log, 9)
    assert past.head() == 5
    log.append([ended(number) for number in range(6, 13)])
    assert past.head() == 9
    assert [record.offset for record in past.read(5)] == [6, 7, 8, 9]


def test_the_past_takes_nothing_in(log):
    with pytest.raises(StorageFailed, match="up to offset 3 is past"):
        Past(log, 3).append([ended(7)])
    assert log.head() == 5
