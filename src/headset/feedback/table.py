"""The decision record as one DuckDB table: Parquet files per day, plus what changed since they were written.

A query reads the files of its window and, from SQLite, only the conversations that changed since the files were
written; when those become many, the days they touch are written anew. So its cost grows with the window and
with recent change, not with history.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from contextlib import closing, contextmanager
from datetime import date, timedelta
from io import BytesIO
from typing import TYPE_CHECKING

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.json

from headset.core.errors import StorageFailed, StorageFull
from headset.feedback.record import DAY_US

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_EPOCH = date(1970, 1, 1)
_CHUNK = 20_000
_TEXT, _WHOLE, _REAL, _FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_MOMENT = pa.timestamp("us")
_STORED = {_FLAG: _WHOLE, _MOMENT: _WHOLE}

SCHEMA = pa.schema(
    {
        "decision_id": _TEXT,
        "event_time": _MOMENT,
        "source": _TEXT,
        "conversation_id": _TEXT,
        "turn_id": _TEXT,
        "position": _WHOLE,
        "shadow_of": _TEXT,
        "channel": _TEXT,
        "queue": _TEXT,
        "language": _TEXT,
        "model": _TEXT,
        "model_version": _TEXT,
        "arm": _TEXT,
        "feature_versions": _TEXT,
        "feature_hash": _TEXT,
        "risk": _REAL,
        "risk_version": _TEXT,
        "intent": _TEXT,
        "confidence": _REAL,
        "alternatives": _TEXT,
        "scope": _REAL,
        "sentiment": _REAL,
        "route": _TEXT,
        "reason": _TEXT,
        "degraded": _FLAG,
        "error": _TEXT,
        "latency_ms": _REAL,
        "suggestions": _WHOLE,
        "shown": _FLAG,
        "agent_id": _TEXT,
        "action": _TEXT,
        "edit_distance": _REAL,
        "label": _TEXT,
        "handoff": _FLAG,
        "ended_by": _TEXT,
        "resolution": _TEXT,
        "handle_time_s": _REAL,
        "csat": _REAL,
        "reopened": _FLAG,
        "outcome_time": _MOMENT,
    }
)
"""Columns of the table, those of the view ``decision_record`` in this order; JSON as text.

Times are in UTC and carry no zone, so that they mean the same in every session and need no zone library to fetch.
"""

_ROWS = f"""
SELECT {", ".join(f"r.{name}" for name in SCHEMA.names)} FROM changed c CROSS JOIN decision_record r
WHERE r.conversation_id = c.conversation_id AND r.event_time / {DAY_US} = c.day AND c.day BETWEEN ? AND ?
"""  # noqa: S608 - made of the names above


class DecisionTable:
    """Reads and writes the days of a decision record.

    Args:
        path: The SQLite file kept by ``Projector(log, DecisionRecord(), path)``; catch it up before reading.
        directory: Where the files are, ``YYYY-MM-DD.parquet`` by UTC day of the decision. They are a copy: they
            may be deleted at any time, and appear complete or not at all.
        largest_delta: Changed conversations (counted per day) that are read from SQLite with every query before
            their days are written anew; 2,000 take about a third of a second.
    """

    def __init__(self, path: Path, directory: Path, *, largest_delta: int = 2_000) -> None:
        self._path = path
        self._directory = directory
        self._largest_delta = largest_delta

    def open(self, *, since: int | None = None, until: int | None = None) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection with the view ``decisions``: the record as it stands now.

        Args:
            since: First event time, microseconds; None for no limit.
            until: First event time that is left out.

        Raises:
            StorageFailed: a file cannot be read.
        """
        with closing(self._connect()) as sqlite, _storage_errors(self._path):
            self._heal(sqlite)
            if _one(sqlite, "SELECT count(*) FROM changed") > self._largest_delta:
                self._write_days(sqlite)
            first, last = _days(since, until)
            with _transaction(sqlite, "DEFERRED"):
                query = "SELECT day FROM exported WHERE day BETWEEN ? AND ?"
                files = [str(self._file(day)) for (day,) in sqlite.execute(query, (first, last))]
                stale = _stale(sqlite, first, last)
                fresh = pa.Table.from_batches(_batches(sqlite, first, last), SCHEMA)
        with _storage_errors(self._directory):
            connection = _duckdb()
            connection.register("fresh", fresh)
            connection.register("stale", stale)
            connection.execute(f"CREATE TEMP VIEW decisions AS {_union(files)} {_window(since, until)}")
        return connection

    def export(self) -> int:
        """Bring all files up to date, so that any program can read ``directory/*.parquet`` without Headset.

        Returns:
            The number of days written; days without news are left alone.

        Raises:
            StorageFull: no room is left.
            StorageFailed: a file cannot be read or written.
        """
        with closing(self._connect()) as sqlite, _storage_errors(self._path):
            self._heal(sqlite)
            return self._write_days(sqlite)

    def _connect(self) -> sqlite3.Connection:
        with _storage_errors(self._path):
            return sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=rw",
                uri=True,
                isolation_level=None,
                check_same_thread=False,  # DuckDB's threads pull the rows, one at a time
                timeout=60,
            )

    def _file(self, day: int) -> Path:
        return self._directory / f"{_EPOCH + timedelta(days=day)}.parquet"

    def _heal(self, sqlite: sqlite3.Connection) -> None:
        """Forget files that someone deleted: their days are read from SQLite until written again."""
        lost = [(day,) for (day,) in sqlite.execute("SELECT day FROM exported") if not self._file(day).exists()]
        if not lost:
            return
        with _transaction(sqlite, "IMMEDIATE"):
            sqlite.executemany(
                f"INSERT OR IGNORE INTO changed SELECT DISTINCT event_time / {DAY_US}, conversation_id, 0 "  # noqa: S608
                f"FROM decision WHERE event_time / {DAY_US} = ?",
                lost,
            )
            sqlite.executemany("DELETE FROM exported WHERE day = ?", lost)

    def _write_days(self, sqlite: sqlite3.Connection) -> int:
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # one writer at a time; the next finds little left to do
            days = [day for (day,) in sqlite.execute("SELECT DISTINCT day FROM changed ORDER BY day")]
            for day in days:
                self._write_day(sqlite, day)
            known = {self._file(day) for (day,) in sqlite.execute("SELECT day FROM exported")}
            for stray in set(self._directory.glob("*.parquet")) - known:
                stray.unlink()
        return len(days)

    def _write_day(self, sqlite: sqlite3.Connection, day: int) -> None:
        path = self._file(day)
        partial = path.with_suffix(".partial")
        with _transaction(sqlite, "DEFERRED"), closing(_duckdb()) as connection:
            position = _one(sqlite, "SELECT max(position) FROM changed WHERE day = ?", day)
            known = _one(sqlite, "SELECT count(*) FROM exported WHERE day = ?", day)
            connection.register("stale", _stale(sqlite, day, day))
            connection.register("fresh", pa.RecordBatchReader.from_batches(SCHEMA, _batches(sqlite, day, day)))
            rows = _union([str(path)] if known else [])
            connection.execute(f"COPY ({rows}) TO {_quote(str(partial))} (FORMAT parquet, COMPRESSION zstd)")
        _sync(partial)
        with _transaction(sqlite, "IMMEDIATE"):
            partial.rename(path)
            # What changed while the file was written stays, and is read from SQLite until next time.
            sqlite.execute("DELETE FROM changed WHERE day = ? AND position <= ?", (day, position))
            sqlite.execute("INSERT OR IGNORE INTO exported VALUES (?)", (day,))


@contextmanager
def _transaction(sqlite: sqlite3.Connection, mode: str) -> Iterator[None]:
    """One state of the database for all that is read, and all or nothing of what is written."""
    sqlite.execute(f"BEGIN {mode}")
    try:
        yield
    except BaseException:
        sqlite.execute("ROLLBACK")
        raise
    sqlite.execute("COMMIT")


@contextmanager
def _storage_errors(place: Path) -> Iterator[None]:
    """Engine errors as ours; both the database and the files can be had again from the log."""
    try:
        yield
    except (sqlite3.Error, duckdb.Error, OSError) as error:
        full = getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT} or "No space left" in str(error)
        kind = StorageFull if full else StorageFailed
        reason = str(error).partition("\n")[0]
        raise kind(f"{place} failed ({reason}); catch it up, or delete it: it is made again from the log") from error


def _union(files: Sequence[str]) -> str:
    """SQL for the rows of ``files`` that are not stale, and the fresh ones."""
    names = ", ".join(SCHEMA.names)
    fresh = f"SELECT {names} FROM fresh"  # noqa: S608 - names of this file
    if not files:
        return f"SELECT * FROM ({fresh})"  # noqa: S608 - the same
    return f"""
        SELECT * FROM (
            SELECT {names} FROM read_parquet([{", ".join(map(_quote, files))}]) kept
            ANTI JOIN stale
            ON stale.day = epoch_us(kept.event_time) // {DAY_US} AND stale.conversation_id = kept.conversation_id
            UNION ALL {fresh}
        )
    """  # noqa: S608 - file names are quoted


def _window(since: int | None, until: int | None) -> str:
    bounds = ((">=", since), ("<", until))
    limits = [f"event_time {sign} make_timestamp({limit:d})" for sign, limit in bounds if limit is not None]
    return f"WHERE {' AND '.join(limits)}" if limits else ""


def _days(since: int | None, until: int | None) -> tuple[int, int]:
    """First and last day of a window."""
    return (
        date.min.toordinal() - _EPOCH.toordinal() if since is None else since // DAY_US,
        date.max.toordinal() - _EPOCH.toordinal() if until is None else until // DAY_US,
    )


def _stale(sqlite: sqlite3.Connection, first: int, last: int) -> pa.Table:
    """The days and conversations whose rows in the files no longer hold."""
    query = "SELECT day, conversation_id FROM changed WHERE day BETWEEN ? AND ?"
    return _arrow(sqlite.execute(query, (first, last)).fetchall(), pa.schema({"day": _WHOLE, "conversation_id": _TEXT}))


def _batches(sqlite: sqlite3.Connection, first: int, last: int) -> Iterator[pa.RecordBatch]:
    """The rows that hold instead."""
    cursor = sqlite.execute(_ROWS, (first, last))
    while rows := cursor.fetchmany(_CHUNK):
        yield from _arrow(rows, SCHEMA).to_batches()


def _arrow(rows: Sequence[tuple[object, ...]], schema: pa.Schema) -> pa.Table:
    """Rows of SQLite as a table; by way of JSON, because ``pa.array`` imports pandas, which takes a second or two."""
    # SQLite has neither Booleans nor times: it gives 0 and 1, and microseconds.
    stored = pa.schema({name: _STORED.get(kind, kind) for name, kind in zip(schema.names, schema.types, strict=True)})
    if not rows:
        return pa.Table.from_batches([], schema)
    lines = msgspec.json.Encoder().encode_lines([dict(zip(schema.names, row, strict=True)) for row in rows])
    return pyarrow.json.read_json(
        BytesIO(lines),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=stored, unexpected_field_behavior="error"),
    ).cast(schema)


def _one(sqlite: sqlite3.Connection, query: str, *arguments: int) -> int:
    return int(sqlite.execute(query, arguments).fetchone()[0] or 0)


def _duckdb() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar = false")  # it would be drawn over a terminal in use
    return connection


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
