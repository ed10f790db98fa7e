"""Suggested replies: what agents answered to the most similar customer turns.

The projection keeps the newest distinct replies, each with the customer turn it answered, sealed as in
the log. The serving process embeds those turns when it loads them, so a decision costs one small
matrix product, however long the history.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
from msgspec import Struct

from headset.core.errors import TextErased
from headset.events.schema import Sealed, TurnReceived

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from headset.events.log import Log, Record
    from headset.events.schema import DecisionServed
    from headset.events.vault import Vault
    from headset.features.encoder import Encoder

REPLY_LIMIT = 2_048
_OPEN_LIMIT = 20_000


class Suggestion(Struct, frozen=True):
    """An agent's earlier reply: the event that holds it, and its text."""

    reply_id: UUID
    text: str


class ReplyHistory:
    """A projection: pairs of a customer turn and the agent's answer to it."""

    name = "replies"
    version = 2

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def create(self, connection: sqlite3.Connection) -> None:
        """See :meth:`Projection.create`."""
        connection.execute(
            "CREATE TABLE unanswered (conversation_id TEXT PRIMARY KEY, position INTEGER, subject TEXT, turn TEXT)"
        )
        connection.execute(
            "CREATE TABLE replies (digest BLOB PRIMARY KEY, event_time INTEGER, reply_id BLOB, subject TEXT, turn TEXT,"
            " reply TEXT)"
        )
        connection.execute("CREATE INDEX replies_by_time ON replies (event_time)")

    def apply(self, connection: sqlite3.Connection, records: Sequence[Record]) -> None:
        """See :meth:`Projection.apply`."""
        for record in records:
            event = record.event
            if not isinstance(event.payload, TurnReceived) or event.conversation_id is None:
                continue
            if event.payload.speaker == "customer":
                connection.execute(
                    "INSERT INTO unanswered VALUES (?, ?, ?, ?) ON CONFLICT (conversation_id) DO UPDATE SET"
                    " position = excluded.position, subject = excluded.subject, turn = excluded.turn"
                    " WHERE excluded.position > position",
                    (event.conversation_id, event.payload.position, event.subject, event.payload.text),
                )
            elif event.payload.speaker == "agent":
                self._answered(connection, record, event.payload)
        connection.execute(
            "DELETE FROM unanswered WHERE rowid <= (SELECT max(rowid) FROM unanswered) - ?", (_OPEN_LIMIT,)
        )
        connection.execute(
            "DELETE FROM replies WHERE digest IN"
            " (SELECT digest FROM replies ORDER BY event_time DESC LIMIT -1 OFFSET ?)",
            (REPLY_LIMIT,),
        )

    def _answered(self, connection: sqlite3.Connection, record: Record, reply: TurnReceived) -> None:
        event = record.event
        row = connection.execute(
            "SELECT subject, turn FROM unanswered WHERE conversation_id = ? AND position < ?",
            (event.conversation_id, reply.position),
        ).fetchone()
        if row is None or row[0] != event.subject:
            return
        try:
            text = self._vault.open(event.subject, reply.text)
        except TextErased:
            return
        digest = hashlib.sha256(" ".join(text.lower().split()).encode()).digest()
        connection.execute(
            "INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?, ?, ?)",
            (digest, event.event_time, event.event_id.bytes, event.subject, row[1], reply.text),
        )


class Replies:
    """The replies in memory, by the intent of the turn they answered, searched by cosine similarity.

    Loading replaces them whole, so readers need no lock.

    Args:
        encoder: Gives the vectors that are compared, of length one.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._held: dict[str, tuple[NDArray[np.float32], list[Suggestion]]] = {}

    def load(
        self,
        connection: sqlite3.Connection,
        vault: Vault,
        intents_of: Callable[[Sequence[str], NDArray[np.float32]], Sequence[str]],
    ) -> int:
        """Take over what the projection holds now.

        Args:
            connection: Of the projection, brought up to date.
            vault: Opens the texts; erased ones are left out.
            intents_of: The intents of texts, given with their vectors.

        Returns:
            How many replies are held.
        """
        turns: list[str] = []
        replies: list[Suggestion] = []
        for reply_id, subject, turn, reply in connection.execute(
            "SELECT reply_id, subject, turn, reply FROM replies ORDER BY event_time DESC, digest"
        ):
            try:
                opened = vault.open(subject, Sealed(turn)), vault.open(subject, Sealed(reply))
            except TextErased:
                continue
            turns.append(opened[0])
            replies.append(Suggestion(UUID(bytes=reply_id), opened[1]))
        vectors = self._encoder.encode(turns)
        groups: dict[str, list[int]] = {}
        for index, intent in enumerate(intents_of(turns, vectors) if turns else ()):
            groups.setdefault(intent, []).append(index)
        self._held = {
            intent: (vectors[members], [replies[member] for member in members]) for intent, members in groups.items()
        }
        return len(replies)

    def nearest(self, intent: str, embedding: NDArray[np.float32], count: int) -> list[Suggestion]:
        """Replies to turns of this ``intent``, those most similar to ``embedding`` (shape ``(dim,)``) first.

        At most ``count``; none when no agent has answered such a turn yet.
        """
        vectors, replies = self._held.get(intent, (None, []))
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
