"""The decision record: one row per decision with all that became of it, whenever and in whatever order the news came.

Each kind of news has a table of its own, keyed by what it is about (a decision, a turn, a conversation).
Where two events say different things about one key, the newest wins: by event time, then event id. The view
``decision_record`` joins them, so nothing depends on the order of arrival: feedback may come before its decision.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from headset.events.schema import (
    ConversationEnded,
    ConversationStarted,
    DecisionServed,
    DecisionShadowed,
    FeedbackRecorded,
    HandoffRequested,
    LabelRecorded,
    OutcomeRecorded,
    SuggestionShown,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from headset.events.log import Record
    from headset.events.schema import Event

    Value = str | bytes | float | None
    Row = tuple[Value, ...]

DAY_US = 86_400_000_000
_SIGN = 1 << 63
_OUTCOME = ("resolution", "handle_time_s", "csat", "reopened")

_TABLES = (
    """
    CREATE TABLE decision (
        decision_id TEXT PRIMARY KEY, stamp BLOB NOT NULL, event_time INTEGER NOT NULL, source TEXT NOT NULL,
        conversation_id TEXT NOT NULL, turn_id TEXT NOT NULL, position INTEGER, shadow_of TEXT,
        model TEXT NOT NULL, model_version TEXT NOT NULL, arm TEXT NOT NULL,
        feature_versions TEXT, feature_hash TEXT, risk REAL, risk_version TEXT, intent TEXT, confidence REAL NOT NULL,
        alternatives TEXT NOT NULL, scope REAL, sentiment REAL, route TEXT NOT NULL, reason TEXT,
        degraded INTEGER NOT NULL, error TEXT, latency_ms REAL NOT NULL, suggestions INTEGER NOT NULL
    )
    """,
    "CREATE INDEX decision_turn ON decision (conversation_id, turn_id, event_time)",
    """
    CREATE INDEX decision_last ON decision (conversation_id, position, event_time, decision_id)
    WHERE arm <> 'shadow'
    """,
    """
    CREATE TABLE conversation (
        conversation_id TEXT PRIMARY KEY, stamp BLOB NOT NULL, channel TEXT, queue TEXT, language TEXT
    ) WITHOUT ROWID
    """,
    "CREATE TABLE shown (decision_id TEXT PRIMARY KEY, stamp BLOB NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE feedback (
        decision_id TEXT PRIMARY KEY, stamp BLOB NOT NULL, agent_id TEXT, action TEXT, edit_distance REAL
    ) WITHOUT ROWID
    """,
    "CREATE TABLE corrected (decision_id TEXT PRIMARY KEY, stamp BLOB NOT NULL, intent TEXT NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE label (
        conversation_id TEXT, turn_id TEXT, stamp BLOB NOT NULL, intent TEXT NOT NULL,
        PRIMARY KEY (conversation_id, turn_id)
    ) WITHOUT ROWID
    """,
    "CREATE TABLE handoff (decision_id TEXT PRIMARY KEY, stamp BLOB NOT NULL, conversation_id TEXT NOT NULL)",
    "CREATE INDEX handoff_first ON handoff (conversation_id, stamp)",
    """
    CREATE TABLE outcome (
        conversation_id TEXT PRIMARY KEY, ended_by TEXT, ended_by_stamp BLOB, resolution TEXT, resolution_stamp BLOB,
        handle_time_s REAL, handle_time_s_stamp BLOB, csat REAL, csat_stamp BLOB, reopened INTEGER,
        reopened_stamp BLOB, outcome_time INTEGER, outcome_time_stamp BLOB
    ) WITHOUT ROWID
    """,
    # The next two serve feedback/table.py: what its Parquet files do not say yet, and which files are its own.
    """
    CREATE TABLE changed (
        day INTEGER, conversation_id TEXT, position INTEGER NOT NULL, PRIMARY KEY (day, conversation_id)
    ) WITHOUT ROWID
    """,
    "CREATE TABLE exported (day INTEGER PRIMARY KEY)",
    """
    CREATE VIEW decision_record AS
    SELECT
        d.decision_id, d.event_time, d.source, d.conversation_id, d.turn_id,
        coalesce(d.position, served.position) AS position, d.shadow_of, c.channel, c.queue, c.language,
        d.model, d.model_version, d.arm, d.feature_versions, d.feature_hash,
        d.risk, d.risk_version,
        d.intent, d.confidence, d.alternatives, d.scope, d.sentiment, d.route, d.reason,
        d.degraded, d.error, d.latency_ms, d.suggestions,
        s.decision_id IS NOT NULL AS shown, f.agent_id, f.action, f.edit_distance,
        (
            SELECT said.intent FROM (
                SELECT l.intent, l.stamp FROM label l
                WHERE l.conversation_id = d.conversation_id AND l.turn_id = d.turn_id
                UNION ALL
                SELECT k.intent, k.stamp FROM decision same JOIN corrected k ON k.decision_id = same.decision_id
                WHERE same.conversation_id = d.conversation_id AND same.turn_id = d.turn_id
            ) said ORDER BY said.stamp DESC LIMIT 1
        ) AS label,
        h.decision_id IS NOT NULL AS handoff,
        o.ended_by, o.resolution, o.handle_time_s, o.csat, o.reopened, o.outcome_time
    FROM decision d
    LEFT JOIN decision served ON served.decision_id = d.shadow_of
    LEFT JOIN conversation c ON c.conversation_id = d.conversation_id
    LEFT JOIN shown s ON s.decision_id = d.decision_id
    LEFT JOIN feedback f ON f.decision_id = d.decision_id
    LEFT JOIN handoff h ON h.decision_id = d.decision_id
    LEFT JOIN outcome o ON o.conversation_id = d.conversation_id AND d.arm <> 'shadow' AND d.decision_id = coalesce(
        (
            SELECT first.decision_id FROM handoff first JOIN decision of ON of.decision_id = first.decision_id
            WHERE first.conversation_id = d.conversation_id AND of.conversation_id = d.conversation_id
                AND of.arm <> 'shadow'
            ORDER BY first.stamp LIMIT 1
        ),
        (
            SELECT last.decision_id FROM decision last
            WHERE last.conversation_id = d.conversation_id AND last.arm <> 'shadow'
            ORDER BY last.position DESC, last.event_time DESC, last.decision_id DESC LIMIT 1
        )
    )
    """,
)


def _keep(table: str, key: str, values: str, *, stamp: str = "stamp", newest: bool = True) -> str:
    """A statement that keeps the newest (or oldest) row of each key; its arguments are key, stamp, values."""
    names = [*key.split(), stamp, *values.split()]
    updates = ", ".join(f"{name} = excluded.{name}" for name in names)
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - names above
        f" ON CONFLICT ({', '.join(key.split())}) DO UPDATE SET {updates}"
        f" WHERE {stamp} IS NULL OR excluded.{stamp} {'>' if newest else '<'} {stamp}"
    )


_DECISION = _keep(
    "decision",
    "decision_id",
    "event_time source conversation_id turn_id position shadow_of model model_version arm feature_versions feature_hash"
    " risk risk_version intent confidence alternatives scope sentiment route reason degraded error latency_ms"
    " suggestions",
)
_CONVERSATION = _keep("conversation", "conversation_id", "channel queue language")
_SHOWN = _keep("shown", "decision_id", "", newest=False)
_FEEDBACK = _keep("feedback", "decision_id", "agent_id action edit_distance")
_CORRECTED = _keep("corrected", "decision_id", "intent")
_LABEL = _keep("label", "conversation_id turn_id", "intent")
_HANDOFF = _keep("handoff", "decision_id", "conversation_id", newest=False)
_OUTCOMES = {
    name: _keep("outcome", "conversation_id", name, stamp=f"{name}_stamp")
    for name in (*_OUTCOME, "ended_by", "outcome_time")
}

# A conversation's events can change every row of the conversation: the label of a turn is shared by all
# decisions about it, and a new decision may take the outcome over from another.
_MARK = f"""
INSERT INTO changed SELECT DISTINCT event_time / {DAY_US}, conversation_id, ? FROM decision WHERE conversation_id = ?
ON CONFLICT (day, conversation_id) DO UPDATE SET position = excluded.position
"""  # noqa: S608 - a number


class DecisionRecord:
    """A :class:`~headset.events.projection.Projection`: the view ``decision_record``, one row per decision.

    The columns are described in ``docs/feedback.md``. What is worth knowing here:

    * ``label`` is the newest verified intent of the *turn*, from feedback on any decision about it or from a
      ``LabelRecorded``; so shadow decisions, which no agent sees, can be right or wrong too.
    * ``ended_by``, ``resolution``, ``handle_time_s``, ``csat``, ``reopened`` and ``outcome_time`` stand on one row
      of a conversation, the decision that caused its end: the first that requested a handoff, else the last
      served one (highest position). Each holds the newest value told; other rows hold NULL.
    * A conversation without decisions has no row, and no event is kept in memory.
    """

    name = "decisions"
    version = 3
    types = tuple(
        kind.__name__
        for kind in (
            ConversationStarted,
            DecisionServed,
            DecisionShadowed,
            SuggestionShown,
            FeedbackRecorded,
            LabelRecorded,
            HandoffRequested,
            ConversationEnded,
            OutcomeRecorded,
        )
    )

    def create(self, connection: sqlite3.Connection) -> None:
        """See :meth:`Projection.create`."""
        for statement in _TABLES:
            connection.execute(statement)

    def apply(self, connection: sqlite3.Connection, records: Sequence[Record]) -> None:
        """See :meth:`Projection.apply`."""
        rows: dict[str, list[Row]] = defaultdict(list)
        conversations, decisions = set(), set()
        for record in records:
            event = record.event
            for statement, row in _rows(event, _stamp(event)):
                rows[statement].append(row)
                conversations.add(_conversation(event))
                decisions.add(getattr(event.payload, "decision_id", None))
        # Before as well as after: a decision told anew may move from another day or conversation.
        before = _conversations_of(connection, decisions)
        _mark(connection, before, records[-1].offset)
        for statement, group in rows.items():
            connection.executemany(statement, group)
        after = _conversations_of(connection, decisions)
        _mark(connection, conversations | before | after, records[-1].offset)


def _conversations_of(connection: sqlite3.Connection, decision_ids: set[str | None]) -> set[str]:
    query = "SELECT conversation_id FROM decision WHERE decision_id = ?"
    return {name for one in decision_ids for (name,) in connection.execute(query, (one,))}


def _mark(connection: sqlite3.Connection, conversations: set[str], position: int) -> None:
    connection.executemany(_MARK, [(position, name) for name in conversations])


def _stamp(event: Event) -> bytes:
    """Bytes that sort by event time, then event id."""
    return (event.event_time + _SIGN).to_bytes(8, "big") + event.event_id.bytes


def _conversation(event: Event) -> str:
    return event.conversation_id or event.subject


def _rows(event: Event, stamp: bytes) -> Iterator[tuple[str, Row]]:
    """The statements an event leads to, with their arguments."""
    payload = event.payload
    match payload:
        case DecisionServed():
            yield _DECISION, (payload.decision_id, stamp, event.event_time, event.source, *_served(event, payload))
        case DecisionShadowed():
            yield _DECISION, (payload.decision_id, stamp, event.event_time, event.source, *_shadowed(event, payload))
        case SuggestionShown():
            yield _SHOWN, (payload.decision_id, stamp)
        case FeedbackRecorded():
            yield _FEEDBACK, (payload.decision_id, stamp, payload.agent_id, payload.action, payload.edit_distance)
            if payload.intent is not None:
                yield _CORRECTED, (payload.decision_id, stamp, payload.intent)
        case _:
            yield from _conversation_rows(event, _conversation(event), stamp)


def _conversation_rows(event: Event, conversation_id: str, stamp: bytes) -> Iterator[tuple[str, Row]]:
    payload = event.payload
    match payload:
        case ConversationStarted():
            yield _CONVERSATION, (conversation_id, stamp, payload.channel, payload.queue, payload.language)
        case LabelRecorded(kind="intent", turn_id=str(turn_id)):
            yield _LABEL, (conversation_id, turn_id, stamp, payload.value)
        case HandoffRequested():
            yield _HANDOFF, (payload.decision_id, stamp, conversation_id)
        case ConversationEnded():
            yield _OUTCOMES["ended_by"], (conversation_id, stamp, payload.ended_by)
        case OutcomeRecorded():
            yield _OUTCOMES["outcome_time"], (conversation_id, stamp, event.event_time)
            for name in _OUTCOME:
                if (value := getattr(payload, name)) is not None:
                    yield _OUTCOMES[name], (conversation_id, stamp, value)
        case _:
            pass


def _served(event: Event, payload: DecisionServed) -> Row:
    return (
        _conversation(event),
        payload.turn_id,
        payload.position,
        None,
        payload.model,
        payload.model_version,
        payload.arm,
        _json(payload.feature_versions),
        payload.feature_hash,
        payload.risk,
        payload.risk_version or None,
        payload.intent,
        payload.confidence,
        _json(payload.alternatives),
        payload.scope,
        payload.sentiment,
        payload.route,
        payload.reason,
        payload.degraded,
        payload.error,
        payload.latency_ms,
        len(payload.suggestions),
    )


def _shadowed(event: Event, payload: DecisionShadowed) -> Row:
    return (
        _conversation(event),
        payload.turn_id,
        None,
        payload.shadow_of,
        payload.model,
        payload.model_version,
        "shadow",
        None,
        None,
        None,
        None,
        payload.intent,
        payload.confidence,
        _json(payload.alternatives),
        None,
        None,
        payload.route,
        None,
        False,
        payload.error,
        payload.latency_ms,
        0,
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
