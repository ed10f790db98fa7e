"""Suggested replies come from what agents answered to similar turns of the same intent."""

from __future__ import annotations

import numpy as np
import pytest

from headset.core.clock import ManualClock
from headset.core.ids import stable_id
from headset.events.door import Door
from headset.events.memory import MemoryLog
from headset.events.projection import Projector
from headset.events.schema import Event, TurnReceived
from headset.events.vault import Vault
from headset.serving.replies import REPLY_LIMIT, Replies, ReplyHistory, Suggestion

from .conftest import HashEncoder


@pytest.fixture
def vault(tmp_path):
    opened = Vault(tmp_path / "keys.db", bytes(32))
    yield opened
    opened.close()


@pytest.fixture
def history(vault, tmp_path):
    log, door = MemoryLog(ManualClock()), Door(vault)
    projector = Projector(log, ReplyHistory(vault), tmp_path / "replies.db")

    def tell(conversation, *texts):
        """Customer and agent in turns."""
        for position, text in enumerate(texts):
            turn = TurnReceived(
                turn_id=str(position),
                position=position,
                speaker=("customer", "agent")[position % 2],
                text=door.admit(conversation, text).sealed,
            )
            log.append(
                [
                    Event(
                        event_id=stable_id(conversation, str(position)),
                        event_time=log.head(),
                        subject=conversation,
                        conversation_id=conversation,
                        source="api",
                        payload=turn,
                    )
                ]
            )
        projector.catch_up()

    tell.projector = projector
    yield tell
    projector.close()


def loaded(history, vault):
    replies = Replies(HashEncoder())
    replies.load(history.projector.connection, vault, lambda texts, _: [text.split()[0] for text in texts])
    return replies


def test_the_reply_to_the_most_similar_turn_of_the_intent_comes_first(history, vault):
    history("a", "refund where", "We sent it.")
    history("b", "refund late", "It takes a week.")
    history("c", "card lost", "It is blocked.")
    (vector,) = HashEncoder().encode(["refund late"])
    assert loaded(history, vault).nearest("refund", vector, 3) == [
        Suggestion(stable_id("b", "1"), "It takes a week."),
        Suggestion(stable_id("a", "1"), "We sent it."),
    ]
    assert loaded(history, vault).nearest("unheard", vector, 3) == []


def test_equal_replies_are_kept_once(history, vault):
    history("a", "refund where", "We sent it.")
    history("b", "refund late", "we  sent it.")
    (vector,) = HashEncoder().encode(["refund"])
    assert len(loaded(history, vault).nearest("refund", vector, 5)) == 1


def test_replies_of_erased_subjects_are_gone_at_the_next_load(history, vault):
    history("a", "refund where", "We sent it.")
    replies = loaded(history, vault)
    assert len(replies.nearest("refund", np.ones(8, np.float32), 3)) == 1
    vault.destroy("a")
    replies.load(history.projector.connection, vault, lambda texts, _: [text.split()[0] for text in texts])
    assert replies.nearest("refund", np.ones(8, np.float32), 3) == []


def test_the_history_is_bounded(history):
    history("b", "card lost", "It is blocked.")
    connection = history.projector.connection
    rows = [(str(number).encode(), number, bytes(16), "s", "x", "y") for number in range(REPLY_LIMIT + 50)]
    connection.executemany("INSERT INTO replies VALUES (?, ?, ?, ?, ?, ?)", rows)
    history("a", "refund where", "We sent it.")
    (count,) = connection.execute("SELECT count(*) FROM replies").fetchone()
    assert count == REPLY_LIMIT
