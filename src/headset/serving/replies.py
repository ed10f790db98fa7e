"""Suggested replies: what agents answered to the most similar customer turns.

The projection keeps the newest distinct replies, each with the customer turn it answered, sealed as in
the log. The serving process embeds those turns when it loads them, so a decision costs one small
matrix product, however long the history.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import numpy as np
from msgspec import Struct

from headset.core.errors import StorageFailed, TextErased
from headset.events.schema import Sealed, TurnReceived

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from headset.events.log import Log, Record
    from headset.events.schema import DecisionServed, Event
    from headset.events.vault import Vault
    from headset.features.encoder import Encoder

REPLY_LIMIT = 2_048
_OPEN_LIMIT = 20_000


class Suggestion(Struct, frozen=True):
    """An agent's earlier reply: the event that holds it, and its text."""

    reply_id: UUID
    text: str


class ReplyHistory:
    """A projection: pairs of a customer turn and the agent's answer to it.

    A reply answers the customer's turn of the highest position that the log held by then, if that turn came
    before it. So the tables are a function of the sequence of events, whatever the batches are; but of an agent's
    turn that arrives before the customer's there is no pair. What is held is bounded:

    * the customer turns of the conversations that began last; in older ones a reply is no longer paired;
    * the newest distinct replies, by event time, then event id, in whatever order they arrived.

    A reply that cannot be opened, erased or damaged, is passed over.
    """

    name = "replies"
    version = 3
    types = ("TurnReceived",)

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def create(self, connection: sqlite3.Connection) -> None:
        """See :meth:`Projection.create`."""
        connection.execute(
            "CREATE TABLE unanswered (number INTEGER PRIMARY KEY, conversation_id TEXT UNIQUE, position INTEGER,"
            " subject TEXT, turn TEXT)"
        )
        connection.execute(
            "CREATE TABLE replies (digest BLOB PRIMARY KEY, event_time INTEGER, reply_id BLOB, subject TEXT, turn TEXT,"
            " reply TEXT)"
        )
        connection.execute("CREATE INDEX replies_by_time ON replies (event_time, reply_id)")

    def apply(self, connection: sqlite3.Connection, records: Sequence[Record]) -> None:
        """See :meth:`Projection.apply`."""
        for record in records:
            event = record.event
            if not isinstance(event.payload, TurnReceived) or event.conversation_id is None:
                continue
            if event.payload.speaker == "customer":
                self._asked(connection, event, event.payload)
            elif event.payload.speaker == "agent":
                self._answered(connection, event, event.payload)
        connection.execute(
            "DELETE FROM replies WHERE digest IN"
            " (SELECT digest FROM replies ORDER BY event_time DESC, reply_id DESC LIMIT -1 OFFSET ?)",
            (REPLY_LIMIT,),
        )

    def _asked(self, connection: sqlite3.Connection, event: Event, turn: TurnReceived) -> None:
        connection.execute(
            "INSERT INTO unanswered (conversation_id, position, subject, turn) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (conversation_id) DO UPDATE SET"
            " position = excluded.position, subject = excluded.subject, turn = excluded.turn"
            " WHERE excluded.position > position",
            (event.conversation_id, turn.position, event.subject, turn.text),
        )
        # After each event, not each batch: what is paired must not depend on the batches.
        connection.execute(
            "DELETE FROM unanswered WHERE number <= (SELECT max(number) FROM unanswered) - ?", (_OPEN_LIMIT,)
        )

    def _answered(self, connection: sqlite3.Connection, event: Event, reply: TurnReceived) -> None:
        row = connection.execute(
            "SELECT subject, turn FROM unanswered WHERE conversation_id = ? AND position < ?",
            (event.conversation_id, reply.position),
        ).fetchone()
        if row is None or row[0] != event.subject:
            return
        try:
            text = self._vault.open(event.subject, reply.text)
        except (TextErased, StorageFailed):
            return
        digest = hashlib.sha256(" ".join(text.lower().split()).encode()).digest()
        connection.execute(
            "INSERT INTO replies VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO UPDATE SET"
            " event_time = excluded.event_time, reply_id = excluded.reply_id, subject = excluded.subject,"
            " turn = excluded.turn, reply = excluded.reply"
            " WHERE (excluded.event_time, excluded.reply_id) > (event_time, reply_id)",
            (digest, event.event_time, event.event_id.bytes, event.subject, row[1], reply.text),
        )


class _Held(NamedTuple):
    suggestion: Suggestion
    vector: NDArray[np.float32]
    intent: str


class Replies:
    """The replies in memory, by the intent of the turn they answered, searched by cosine similarity.

    Loading replaces them whole, so readers need no lock; replies known already are not encoded again.

    Args:
        encoder: Gives the vectors that are compared, of length one.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[UUID, _Held] = {}
        self._by_intent: dict[str, tuple[NDArray[np.float32], list[Suggestion]]] = {}

    def load(
        self,
        connection: sqlite3.Connection,
        vault: Vault,
        intents_of: Callable[[Sequence[str], NDArray[np.float32]], Sequence[str]],
    ) -> None:
        """Take over what the projection holds now.

        Args:
            connection: Of the projection, brought up to date.
            vault: Opens the texts; those that cannot be opened are left out.
            intents_of: The intents of texts, given with their vectors.
        """
        known: dict[UUID, _Held] = {}
        turns: list[str] = []
        fresh: list[Suggestion] = []
        for identifier, subject, turn, reply in connection.execute(
            "SELECT reply_id, subject, turn, reply FROM replies ORDER BY event_time DESC, digest"
        ):
            reply_id = UUID(bytes=identifier)
            with contextlib.suppress(TextErased, StorageFailed):
                suggestion = Suggestion(reply_id, vault.open(subject, Sealed(reply)))
                if reply_id in self._known:
                    known[reply_id] = self._known[reply_id]
                else:
                    turns.append(vault.open(subject, Sealed(turn)))
                    fresh.append(suggestion)
        if fresh:
            vectors = self._encoder.encode(turns)
            for suggestion, vector, intent in zip(fresh, vectors, intents_of(turns, vectors), strict=True):
                known[suggestion.reply_id] = _Held(suggestion, vector, intent)
        groups: dict[str, list[_Held]] = {}
        for held in known.values():
            groups.setdefault(held.intent, []).append(held)
        self._known = known
        self._by_intent = {
            intent: (np.array([held.vector for held in group]), [held.suggestion for held in group])
            for intent, group in groups.items()
        }

    def nearest(self, intent: str, embedding: NDArray[np.float32], count: int) -> list[Suggestion]:
        """Replies to turns of this ``intent``, those most similar to ``embedding`` (shape ``(dim,)``) first.

        At most ``count``; none when no agent has answered such a turn yet.
        """
        vectors, replies = self._by_intent.get(intent, (None, []))
        if vectors is None or count == 0:
            return []
        best = np.argsort(-(vectors @ embedding), kind="stable")[:count]
        return [replies[index] for index in best]


def suggested_texts(log: Log, vault: Vault, decision: DecisionServed) -> list[str]:
    """The replies that a decision suggested, in its order; those of erased subjects are left out."""
    texts = []
    for reply_id in decision.suggestions:
        record = log.get(reply_id)
        if record is not None and isinstance(record.event.payload, TurnReceived):
            with contextlib.suppress(TextErased):
                texts.append(vault.open(record.event.subject, record.event.payload.text))
    return texts
