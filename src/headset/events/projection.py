"""Projections: state computed from the log, kept with its position, deleted and rebuilt at will."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Protocol

from headset.core.errors import StorageFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
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
    impossible, and several processes may catch up the same file.

    Raises:
        StorageFailed: the file cannot be opened; it may be deleted, it is rebuilt from the log.
    """

    def __init__(self, log: Log, projection: Projection, path: Path) -> None:
        self._log = log
        self._projection = projection
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=60)
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = NORMAL")
            self.connection.execute(_CHECKPOINT)
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
        with _Transaction(self.connection, self._path):
            self._clear()
        return self.catch_up()

    def close(self) -> None:
        """Release the file."""
        self.connection.close()

    def _advance(self) -> int | None:
        with _Transaction(self.connection, self._path):
            position = self._position()
            if position is None:
                self._clear()
                position = 0
            records = self._log.read(after=position, limit=_BATCH)
            if not records:
                return None
            self._projection.apply(self.connection, records)
            self.connection.execute(
                "UPDATE checkpoint SET position = ? WHERE projection = ?", (records[-1].offset, self._projection.name)
            )
            return len(records)

    def _position(self) -> int | None:
        row = self.connection.execute(
            "SELECT position FROM checkpoint WHERE projection = ? AND version = ?",
            (self._projection.name, self._projection.version),
        ).fetchone()
        return None if row is None else int(row[0])

    def _clear(self) -> None:
        names = self.connection.execute(
            "SELECT type, name FROM sqlite_master WHERE type IN ('view', 'table') AND name NOT LIKE 'sqlite_%'"
            " AND name <> 'checkpoint' ORDER BY type DESC"
        ).fetchall()
        for kind, name in names:
            self.connection.execute(f'DROP {kind} "{name}"')
        self._projection.create(self.connection)
        self.connection.execute(
            "INSERT OR REPLACE INTO checkpoint VALUES (?, ?, 0)", (self._projection.name, self._projection.version)
        )


class _Transaction:
    """One write transaction, rolled back when the block raises."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def __enter__(self) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise StorageFailed(f"{self._path} cannot be written ({error}); is the disk full?") from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is None:
            self._connection.execute("COMMIT")
            return
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise StorageFailed(f"{self._path} failed ({error}); delete it, it is rebuilt from the log") from error
