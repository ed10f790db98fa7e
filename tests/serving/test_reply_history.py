"""The projection of agents' replies: what it holds is a function of the log, not of how it was read."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headset.core.ids import stable_id
from headset.events.log import Record
from headset.events.schema import AnyPayload, ConversationEnded, Event, Sealed, TurnReceived
from headset.events.vault import Vault
from headset.serving import replies
from headset.serving.replies import ReplyHistory


@pytest.fixture(scope="module")
def vault(tmp_path_factory):
    opened = Vault(tmp_path_factory.mktemp("keys") / "keys.db", bytes(32))
    yield opened
    opened.close()


def turn(sealed, conversation, position, *, name="", at=0):
    payload = TurnReceived(
        turn_id=str(position), position=position, speaker=("customer", "agent")[position % 2], text=Sealed(sealed)
    )
    return Event(
        event_id=stable_id(conversation, str(position), name),
        event_time=at,
        subject=conversation,
        conversation_id=conversation,
        source="api",
        payload=payload,
    )


def tables(vault, events, batch):
    """What is held after the events came in batches of this size."""
    history = ReplyHistory(vault)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        history.create(connection)
        for start in range(0, len(events), batch):
            records = [Record(start + i, event) for i, event in enumerate(events[start : start + batch], 1)]
            history.apply(connection, records)
        return [
            connection.execute(query).fetchall()
            for query in ("SELECT * FROM unanswered ORDER BY 1", "SELECT * FROM replies ORDER BY 1")
        ]


@pytest.fixture(scope="module")
def sealed(vault):
    """``sealed(subject, text)``, each pair sealed once."""
    made = {}

    def seal(subject, text):
        if (subject, text) not in made:
            made[subject, text] = vault.seal(subject, text)
        return made[subject, text]

    return seal


TURNS = st.tuples(
    st.sampled_from("abcdefg"), st.integers(0, 3), st.sampled_from("xyzuv"), st.integers(0, 5), st.integers(0, 9)
)


@settings(max_examples=80, deadline=None)
@given(told=st.lists(TURNS, max_size=40), batch=st.integers(2, 40))
def test_no_batching_changes_what_is_held(vault, sealed, told, batch):
    events = [
        turn(sealed(conversation, text), conversation, position, name=str(name), at=at)
        for conversation, position, text, at, name in told
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replies, "_OPEN_LIMIT", 3)
        patch.setattr(replies, "REPLY_LIMIT", 2)
        assert tables(vault, events, 1) == tables(vault, events, batch)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_of_the_replies_the_newest_are_held_in_whatever_order_they_came(vault, sealed, data):
    asked = [turn(sealed(name, "why"), name, 0) for name in "abcd"]
    told = data.draw(
        st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz"), st.integers(0, 4)), max_size=12)
    )
    answers = [
        turn(sealed(name, text), name, 1, name=str(number), at=at) for number, (name, text, at) in enumerate(told)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replies, "REPLY_LIMIT", 2)
        held = tables(vault, asked + answers, 5)[1]
        assert held == tables(vault, asked + data.draw(st.permutations(answers)), data.draw(st.integers(1, 9)))[1]
    newest = {}
    for event in sorted(answers, key=lambda event: (event.event_time, event.event_id.bytes)):
        newest[vault.open(event.subject, event.payload.text)] = (event.event_time, event.event_id.bytes)
    assert sorted((row[1], row[2]) for row in held) == sorted(newest.values())[-2:]


def test_a_late_older_reply_does_not_replace_a_newer_one(vault, sealed):
    events = [
        turn(sealed("a", "why"), "a", 0),
        turn(sealed("a", "because"), "a", 1, at=9, name="new"),
        turn(sealed("a", "Because"), "a", 1, at=2, name="old"),
    ]
    ((_, when, reply_id, *_),) = tables(vault, events, 3)[1]
    assert (when, reply_id) == (9, events[1].event_id.bytes)


@pytest.mark.parametrize("damaged", ["", "no base64!", "AAAA", "A" * 80])
def test_a_reply_that_cannot_be_opened_is_passed_over(vault, sealed, damaged):
    events = [
        turn(sealed("a", "why"), "a", 0),
        turn(damaged, "a", 1),
        turn(sealed("a", "why again"), "a", 2),
        turn(sealed("a", "because"), "a", 3),
    ]
    altered = events[3].payload.text
    events.insert(3, turn(altered[:-8] + "AAAAAAA=", "a", 3, name="altered"))
    assert [row[2] for row in tables(vault, events, 5)[1]] == [events[4].event_id.bytes]


def test_only_turns_are_folded(vault, sealed):
    assert set(ReplyHistory.types) < {kind.__name__ for kind in AnyPayload.__args__}
    events = [turn(sealed("a", "why"), "a", 0), turn(sealed("a", "because"), "a", 1)]
    end = Event(
        event_id=stable_id("end"), event_time=0, subject="a", source="api", payload=ConversationEnded(ended_by="agent")
    )
    assert tables(vault, [events[0], end, events[1], end], 4) == tables(vault, events, 2)
