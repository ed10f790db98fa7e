"""Projections: state computed from the log, kept with its position, deleted and rebuilt at will."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from headset.core.errors import StorageFailed
from headset.events.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from headset.events.log import Log, Record

_BATCH = 2_000
_CHECKPOINT = """
CREATE TABLE IF NOT EXISTS checkpoint (
    projection TEXT PRIMARY KEY, version INTEGER NOT NULL, position INTEGER NOT NULL
) WITHOUT ROWID;
"""


class Projection(Protocol):
    """A fold over the log into SQLite tables.

    ``apply`` must give the same tables whatever the batches are, and must not depend on events
    arriving in the order they happened.
    """

    @property
    def name(self) -> str:
        """Name of the checkpoint, unique per file."""
        ...

    @property
    def version(self) -> int:
        """Changed whenever the tables or their meaning change; the state is then rebuilt."""
        ...

    def create(self, connection: sqlite3.Connection) -> None:
        """Make the tables, in the transaction already open."""
        ...

    def apply(self, connection: sqlite3.Connection, records: Sequence[Record]) -> None:
        """Fold ``records`` in, in the transaction already open."""
        ...


class Projector:
    """Keeps one projection of ``log`` in the file ``path``, up to date on demand.

    The position is stored in the transaction that stores the output, so a crash between them is
    impossible, and several threads and processes may catch up the same file.

    Attributes:
        connection: For reads; it sees whole batches only, also while another thread catches up.

    Raises:
        StorageFailed: the file cannot be opened; it may be deleted, it is rebuilt from the log.
    """

    def __init__(self, log: Log, projection: Projection, path: Path) -> None:
        self._log = log
        self._projection = projection
        self._path = path
        self._turn = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = _connect(path)
            self._writer.execute(_CHECKPOINT)
            self.connection = _connect(path)
        except (sqlite3.Error, OSError) as error:
            raise StorageFailed(f"{path} cannot be opened ({error}); delete it, it is rebuilt from the log") from error

    def catch_up(self) -> int:
        """Fold in everything appended since last time.

        Returns:
            The number of events folded in.
        """
        total = 0
        while (count := self._advance()) is not None:
            total += count
            if count < _BATCH:
                break
        return total

    def rebuild(self) -> int:
        """Forget the state and compute it again from the log's first event."""
        with self._transaction():
            self._clear()
        return self.catch_up()

    def close(self) -> None:
        """Release the file."""
        with self._turn:
            self.connection.close()
            self._writer.close()

    def _advance(self) -> int | None:
        with self._transaction():
            position = self._position()
            records = self._log.read(after=position, limit=_BATCH)
            if not records:
                return None
            self._projection.apply(self._writer, records)
            self._writer.execute(
                "UPDATE checkpoint SET position = ? WHERE projection = ?", (records[-1].offset, self._projection.name)
            )
            return len(records)

    def _position(self) -> int:
        """Where to read on: at the start when the state is of another version, or of a longer log."""
        row = self._writer.execute(
            "SELECT position FROM checkpoint WHERE projection = ? AND version = ?",
            (self._projection.name, self._projection.version),
        ).fetchone()
        if row is None or row[0] > self._log.head():
            self._clear()
            return 0
        return int(row[0])

    def _clear(self) -> None:
        names = self._writer.execute(
            "SELECT type, name FROM sqlite_master WHERE type IN ('view', 'table') AND name NOT LIKE 'sqlite_%'"
            " AND name <> 'checkpoint' ORDER BY type DESC"
        ).fetchall()
        for kind, name in names:
            self._writer.execute(f'DROP {kind} "{name}"')
        self._projection.create(self._writer)
        self._writer.execute(
            "INSERT OR REPLACE INTO checkpoint VALUES (?, ?, 0)", (self._projection.name, self._projection.version)
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._turn:
            try:
                with Transaction(self._writer):
                    yield
            except sqlite3.Error as error:
                raise StorageFailed(
                    f"{self._path} failed ({error}); is the disk full? If it is damaged, delete it: it is rebuilt"
                ) from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=60)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection
