"""Projections: state computed from the log, kept with its position, deleted and rebuilt at will."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from headset.core.errors import StorageFailed
from headset.events.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
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
        """Changed whenever the tables, their meaning or ``types`` change; the state is then rebuilt."""
        ...

    @property
    def types(self) -> Collection[str] | None:
        """The event types that ``apply`` is given, None for all; others are not even decoded."""
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
    impossible, and several threads and processes may catch up the same file. When the file was
    deleted or replaced meanwhile, the next :meth:`catch_up` goes on with what is at ``path`` then.

    Attributes:
        connection: For reads; it sees whole batches only, also while another thread catches up. Take it
            anew after each :meth:`catch_up`: it is another one when the file is.

    Raises:
        StorageFailed: the file cannot be opened; it may be deleted, it is rebuilt from the log.
    """

    def __init__(self, log: Log, projection: Projection, path: Path) -> None:
        self._log = log
        self._projection = projection
        self._path = path
        self._turn = threading.Lock()
        self._outdated: list[sqlite3.Connection] = []
        self._open()

    def catch_up(self) -> int:
        """Fold in everything appended since last time; when nothing was, nothing is written.

        Returns:
            The number of events folded in.

        Raises:
            StorageFailed: the file or the log failed; the state is as it was after the last whole batch.
        """
        total = 0
        while (count := self._advance()) == _BATCH:
            total += count
        return total + count

    def rebuild(self) -> int:
        """Forget the state and compute it again from the log's first event."""
        with self._alone(), Transaction(self._writer):
            self._clear()
        return self.catch_up()

    def close(self) -> None:
        """Release the file."""
        with self._turn:
            for connection in (*self._outdated, self.connection, self._writer):
                connection.close()

    def _advance(self) -> int:
        with self._alone():
            if self._is_current():
                return 0
            with Transaction(self._writer):
                # Taken in the transaction, the head is no older than any position ever stored.
                head = self._log.head()
                records = self._log.read(after=self._position(head), limit=_BATCH, types=self._projection.types)
                if records:
                    self._projection.apply(self._writer, records)
                # Fewer than the limit: all up to the head was looked at, and perhaps events appended since.
                reached = max(0 if len(records) == _BATCH else head, records[-1].offset if records else 0)
                self._writer.execute(
                    "UPDATE checkpoint SET position = ? WHERE projection = ?", (reached, self._projection.name)
                )
                return len(records)

    def _is_current(self) -> bool:
        return self._stored_position() == self._log.head()  # in this order: a position is never ahead of the head

    def _position(self, head: int) -> int:
        """Where to read on: at the start when the state is of another version, or of a longer log."""
        stored = self._stored_position()
        if stored is None or stored > head:
            self._clear()
            return 0
        return stored

    def _stored_position(self) -> int | None:
        row = self._writer.execute(
            "SELECT position FROM checkpoint WHERE projection = ? AND version = ?",
            (self._projection.name, self._projection.version),
        ).fetchone()
        return None if row is None else int(row[0])

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
    def _alone(self) -> Iterator[None]:
        """One thread at a time works on the file that is at the path now."""
        with self._turn:
            if self._file is None or self._file != _identity(self._path):
                self._writer.close()
                self._outdated.append(self.connection)  # others may be reading it
                self._open()
            try:
                yield
            except sqlite3.Error as error:
                raise StorageFailed(
                    f"{self._path} failed ({error}); is the disk full? If it is damaged, delete it: it is rebuilt"
                ) from error

    def _open(self) -> None:
        self._file: tuple[int, int] | None = None
        folder = self._path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _locked(folder):
                if not self._path.exists():
                    for suffix in ("-wal", "-shm"):  # of the file deleted; they would be taken for the new one's
                        self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
                self._writer = _connect(self._path)
                self._writer.execute(_CHECKPOINT)
                self.connection = _connect(self._path)
                self._file = _identity(self._path)
        except (sqlite3.Error, OSError) as error:
            raise StorageFailed(
                f"{self._path} cannot be opened ({error}); delete it, it is rebuilt from the log"
            ) from error


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file is at ``path``, whatever its name was before."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=60)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
