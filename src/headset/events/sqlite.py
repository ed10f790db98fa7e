"""The log in one SQLite file: group commit, so many appends share one sync.

Any number of threads and processes may append and read. Each process has one writer thread that takes
everything waiting and commits it with one statement (WAL, ``synchronous=FULL``); while it syncs, the
next group gathers. Nobody waits for a group to fill, so an idle log answers after one sync.

SQLite numbers the rows inside the write transaction, which it grants to one process at a time: an offset
is never visible before all smaller ones, and never given twice.

Conversation ids are random, so keeping an index of them current would dirty a page per event, more than
all the rest. The index is filled in bulk, behind the newest events, and a lookup scans those.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import msgspec

from headset.core.errors import HeadsetError, InvalidInput, Overloaded, StorageFailed, StorageFull
from headset.events.log import Record
from headset.events.schema import CONTROL, AnyPayload, Event
from headset.events.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from headset.core.clock import Clock
    from headset.events.segment import Segments

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    offset INTEGER PRIMARY KEY,
    event_id BLOB NOT NULL,
    type TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    event_time INTEGER NOT NULL,
    append_time INTEGER NOT NULL,
    subject TEXT NOT NULL,
    conversation_id TEXT,
    source TEXT NOT NULL,
    payload BLOB
);
CREATE UNIQUE INDEX IF NOT EXISTS events_by_id ON events (event_id);
CREATE INDEX IF NOT EXISTS events_of_control ON events (type) WHERE conversation_id IS NULL;
CREATE TABLE IF NOT EXISTS conversations (
    conversation_id TEXT NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY (conversation_id, offset)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS conversations_indexed (position INTEGER NOT NULL);
INSERT INTO conversations_indexed SELECT 0 WHERE NOT EXISTS (SELECT * FROM conversations_indexed);
"""
_INDEX_CONVERSATIONS = """
INSERT INTO conversations SELECT conversation_id, offset FROM events
WHERE offset > (SELECT position FROM conversations_indexed) AND conversation_id IS NOT NULL ORDER BY 1, 2
"""
_IN_CONVERSATION = """
offset IN (
    SELECT offset FROM conversations WHERE conversation_id = ?1 UNION ALL
    SELECT offset FROM events
    WHERE offset > (SELECT position FROM conversations_indexed) AND conversation_id = ?1
) ORDER BY offset
"""
_COLUMNS = "offset, event_id, type, schema_version, event_time, append_time, subject, conversation_id, source, payload"
_INSERTED = "append_time, event_id, type, schema_version, event_time, subject, conversation_id, source, payload"
_PER_EVENT = 8
_LARGEST_STATEMENT = 256  # events; its text and its compiled form are kept for every size up to this
_INDEX_EVERY = 2048  # events; a lookup scans at most about so many, in 0.2 ms
_BLAMED = (  # raised while a row is handed to SQLite: this row is at fault, not the store
    TypeError,
    ValueError,
    OverflowError,
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}


@lru_cache(_LARGEST_STATEMENT)
def _insert(count: int) -> str:
    """The statement that inserts ``count`` events in one step, during which other threads run.

    Its first argument is the append time of all.
    """
    rows = ", ".join(["(?1, ?, ?, ?, ?, ?, ?, ?, ?)"] * count)
    return f"INSERT INTO events ({_INSERTED}) VALUES {rows} ON CONFLICT (event_id) DO NOTHING"  # noqa: S608


Row = tuple[int, bytes, str, int, int, int, str, str | None, str, bytes | None]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AnyPayload).decode


class _Waiting(NamedTuple):
    """One call of ``append``: its events as SQLite takes them, flat, ``_PER_EVENT`` values each."""

    values: list[object]
    future: Future[list[int]]


class SqliteLog:
    """A :class:`~headset.events.log.Log` kept at ``path``.

    Open it after forking: the writer thread and the connections belong to one process.

    Args:
        path: The database file; its folder must exist.
        clock: Stamps ``append_time``.
        segments: Where sealed payloads lie; without it nothing can be sealed.
        before_commit: Called before each group is committed; what it makes durable is durable
            before the events are (the vault's new keys).
        queue_limit: Events that may wait for the writer before ``Overloaded`` is raised.

    Raises:
        StorageFailed: the file is not a log, or cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        segments: Segments | None = None,
        before_commit: Callable[[], None] | None = None,
        queue_limit: int = 50_000,
    ) -> None:
        self._path = path
        self._clock = clock
        self._segments = segments
        self._before_commit = before_commit
        self._queue_limit = queue_limit
        self._queue: list[_Waiting] = []
        self._queued = 0
        self._ready = threading.Condition(threading.Lock())
        self._closed = False
        self._idle: deque[sqlite3.Connection] = deque()
        self._connection = self._connect()
        self._newest = 0
        self._indexed = 0
        try:
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self._connection.close()
            raise _translated(error, path) from error
        self._writer = threading.Thread(target=self._run, name="headset-log-writer", daemon=True)
        self._writer.start()

    def append(self, events: Sequence[Event]) -> list[int]:
        """See :meth:`Log.append`."""
        return self.append_soon(events).result()

    def append_soon(self, events: Sequence[Event]) -> Future[list[int]]:
        """See :meth:`Log.append_soon`.

        Raises:
            InvalidInput: (in the future) a value does not fit into SQLite, e.g. a time past 64 bits.
        """
        waiting = _Waiting(_values(events), Future())
        with self._ready:
            if self._closed:
                raise StorageFailed(f"the log {self._path} is closed; open it again to append")
            if self._queued and self._queued + len(events) > self._queue_limit:
                raise Overloaded(f"{self._queued} events wait to be written, the limit is {self._queue_limit}")
            self._queue.append(waiting)
            self._queued += len(events)
            if len(self._queue) == 1:
                self._ready.notify()
        return waiting.future

    def read(
        self,
        after: int = 0,
        limit: int = 1000,
        *,
        types: Collection[str] | None = None,
        source: str | None = None,
    ) -> list[Record]:
        """See :meth:`Log.read`."""
        conditions, arguments = ["offset > ?"], [after, *sorted(types or ())]
        if types is not None:
            conditions.append(f"type IN ({', '.join('?' * len(types))})")
            if CONTROL.issuperset(types):
                conditions.append("conversation_id IS NULL")  # so that the index of these few is used
        if source is not None:
            conditions.append("source = ?")
            arguments.append(source)
        return self._select(f"{' AND '.join(conditions)} ORDER BY offset LIMIT ?", [*arguments, limit])

    def get(self, event_id: UUID) -> Record | None:
        """See :meth:`Log.get`."""
        found = self._select("event_id = ?", [event_id.bytes])
        return found[0] if found else None

    def conversation(self, conversation_id: str) -> list[Record]:
        """See :meth:`Log.conversation`."""
        return self._select(_IN_CONVERSATION, [conversation_id])

    def head(self) -> int:
        """See :meth:`Log.head`."""
        newest: int | None = self._fetch("SELECT max(offset) FROM events")[0][0]
        return newest or 0

    def seal(self, *, keep: int, segment_size: int = 50_000) -> int:
        """Move payloads to Parquet in full segments, leaving at least the newest ``keep`` events live.

        The envelope stays in the database, so event ids stay unique and lookups stay indexed. A crash
        between writing a segment and letting go of its payloads is harmless: the next call finishes it.

        Returns:
            The number of events sealed.

        Raises:
            StorageFailed: the log was opened without ``segments``, or another process is sealing it.
        """
        if self._segments is None:
            raise StorageFailed(f"the log {self._path} has no segment folder; open it with segments=…")
        sealed = 0
        with self._segments.locked():
            complete = self._segments.list()
            if complete:
                self._release(complete[-1].first, complete[-1].last)
            first = complete[-1].last + 1 if complete else 1
            while first + segment_size - 1 <= self.head() - keep:
                last = first + segment_size - 1
                self._segments.write(self._select("offset BETWEEN ? AND ? ORDER BY offset", [first, last]))
                self._release(first, last)
                sealed += segment_size
                first = last + 1
        return sealed

    def close(self) -> None:
        """See :meth:`Log.close`."""
        with self._ready:
            self._closed = True
            self._ready.notify()
        self._writer.join()
        self._connection.close()
        while self._idle:
            self._idle.pop().close()

    # -- writing, in the writer thread ---------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._ready:
                while not self._queue:
                    if self._closed:
                        return
                    self._ready.wait()
                taken, self._queue, self._queued = self._queue, [], 0
            group = [waiting for waiting in taken if _begin(waiting.future)]
            del taken
            self._keep(group)
            del group
            self._index_conversations()

    def _keep(self, group: list[_Waiting]) -> None:
        if not group:  # all were cancelled
            return
        try:
            offsets = self._commit(list(chain.from_iterable(waiting.values for waiting in group)))
        except BaseException as error:  # noqa: BLE001 - every waiting caller must be told, whatever failed
            if len(group) > 1 and isinstance(error, _BLAMED):
                for waiting in group:  # only the call that brought the bad event shall fail
                    self._keep([waiting])
                return
            for waiting in group:
                with suppress(InvalidStateError):  # its owner settled it; the others still wait
                    waiting.future.set_exception(_translated(error, self._path))
            return
        start = 0
        for values, future in group:
            end = start + len(values) // _PER_EVENT
            with suppress(InvalidStateError):
                future.set_result(offsets[start:end])
            start = end

    def _commit(self, values: list[object]) -> list[int]:
        if self._before_commit is not None:
            self._before_commit()
        count, append_time = len(values) // _PER_EVENT, self._clock.now()
        if count <= _LARGEST_STATEMENT:  # a statement is a transaction of its own
            fresh, newest = self._execute_insert(values, append_time)
        else:
            fresh, newest = self._insert_many(values, append_time)
        if fresh:
            self._newest = newest
        if fresh == count:
            return list(range(newest - count + 1, newest + 1))
        known = self._known(values[::_PER_EVENT])
        return [known[event_id] for event_id in values[::_PER_EVENT]]

    def _insert_many(self, values: list[object], append_time: int) -> tuple[int, int]:
        total, newest = 0, 0
        with Transaction(self._connection):
            for chunk in _chunks(values, _LARGEST_STATEMENT * _PER_EVENT):
                fresh, newest = self._execute_insert(chunk, append_time)
                total += fresh
        return total, newest

    def _execute_insert(self, values: list[object], append_time: int) -> tuple[int, int]:
        """Returns how many events were new, and the offset of the newest in this connection."""
        if not values:
            return 0, 0
        cursor = self._connection.execute(_insert(len(values) // _PER_EVENT), [append_time, *values])
        return cursor.rowcount, cursor.lastrowid or 0

    def _known(self, event_ids: list[object]) -> dict[object, int]:
        known: dict[object, int] = {}
        for chunk in _chunks(event_ids, _LARGEST_STATEMENT):
            query = f"SELECT event_id, offset FROM events WHERE event_id IN ({', '.join('?' * len(chunk))})"  # noqa: S608
            known |= dict(self._connection.execute(query, chunk).fetchall())
        return known

    def _index_conversations(self) -> None:
        """Bring the index of conversations up to date, when enough events have come since last time."""
        if self._newest - self._indexed < _INDEX_EVERY:
            return
        try:
            with Transaction(self._connection):
                self._connection.execute(_INDEX_CONVERSATIONS)
                self._connection.execute("UPDATE conversations_indexed SET position = (SELECT max(offset) FROM events)")
            self._indexed = self._newest
        except sqlite3.Error:
            return  # lookups scan a little more; the next group tries again

    def _release(self, first: int, last: int) -> None:
        """Let go of the payloads ``first`` to ``last``, which lie in a segment now."""
        self._fetch(
            "UPDATE events SET payload = NULL WHERE offset BETWEEN ? AND ? AND payload IS NOT NULL", (first, last)
        )

    # -- reading, in the caller's thread -------------------------------------------------------

    def _select(self, condition: str, arguments: Sequence[object]) -> list[Record]:
        rows = self._fetch(f"SELECT {_COLUMNS} FROM events WHERE {condition}", arguments)  # noqa: S608
        sealed = [row[0] for row in rows if row[-1] is None]
        payloads = self._segments.payloads(sealed) if sealed and self._segments is not None else {}
        return [_record(row, payloads) for row in rows]

    def _fetch(self, query: str, arguments: Sequence[object] = ()) -> list[Any]:
        if self._closed:
            raise StorageFailed(f"the log {self._path} is closed; open it again to read")
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            return connection.execute(query, arguments).fetchall()
        except _BLAMED as error:
            raise InvalidInput("query", f"cannot be asked of the log ({error})") from None
        except sqlite3.Error as error:
            raise _translated(error, self._path) from error
        finally:
            self._give_back(connection)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if self._closed:
            connection.close()
        else:
            self._idle.append(connection)

    def _connect(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                self._path,
                isolation_level=None,
                check_same_thread=False,
                timeout=30,
                cached_statements=2 * _LARGEST_STATEMENT,
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as error:
            raise _translated(error, self._path) from error
        return connection


def _begin(future: Future[list[int]]) -> bool:
    """From here on it cannot be cancelled; False when it was, or when its owner has settled it."""
    try:
        return future.set_running_or_notify_cancel()
    except RuntimeError:
        return False


def _values(events: Sequence[Event]) -> list[object]:
    values: list[object] = []
    for event in events:
        payload = event.payload
        values += (
            event.event_id.bytes,
            type(payload).__name__,
            event.schema_version,
            event.event_time,
            event.subject,
            event.conversation_id,
            event.source,
            _encode(payload),
        )
    return values


def _chunks(values: list[object], size: int) -> Iterator[list[object]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _record(row: Row, sealed: dict[int, bytes]) -> Record:
    offset, event_id, _, schema_version, event_time, append_time, subject, conversation_id, source, payload = row
    if payload is None:
        payload = sealed.get(offset)
    if payload is None:
        raise StorageFailed(f"event {offset} was sealed and its segment is missing; restore the segments folder")
    try:
        decoded = _decode(payload)
    except ValueError as error:  # of msgspec, or text that is no UTF-8
        raise StorageFailed(
            f"event {offset} cannot be read ({error}); it was written by another version of Headset"
        ) from error
    event = Event(
        event_id=UUID(bytes=event_id),
        event_time=event_time,
        subject=subject,
        source=source,
        payload=decoded,
        conversation_id=conversation_id,
        schema_version=schema_version,
        append_time=append_time,
    )
    return Record(offset, event)


def _translated(error: BaseException, path: Path) -> HeadsetError:
    if isinstance(error, HeadsetError):
        return error
    code = getattr(error, "sqlite_errorcode", None)
    if code in _FULL:
        return StorageFull(f"{path} cannot grow ({error}); free disk space, nothing was kept")
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return StorageFailed(f"{path} is damaged or not a log ({error}); restore it from a backup")
    if isinstance(error, _BLAMED):
        return InvalidInput("event", f"holds a value the log cannot keep ({error}); nothing was kept")
    return StorageFailed(f"{path} failed ({str(error) or type(error).__name__}); nothing was kept")
