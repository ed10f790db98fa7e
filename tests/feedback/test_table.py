"""The decision table in DuckDB: always what SQLite says, whatever was exported when."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headset.core.errors import StorageFailed
from headset.events.log import Record
from headset.events.schema import FeedbackRecorded, OutcomeRecorded
from headset.feedback.record import DecisionRecord
from headset.feedback.table import SCHEMA, DecisionTable

HOUR, DAY = 3_600_000_000, 86_400_000_000
READ = f"SELECT {', '.join(SCHEMA.names)} FROM decisions ORDER BY decision_id"


def stored(connection):
    """What SQLite says, with DuckDB's types."""
    cursor = connection.execute("SELECT * FROM decision_record ORDER BY decision_id")
    assert [column[0] for column in cursor.description] == SCHEMA.names
    kinds = [str(kind) for kind in SCHEMA.types]
    return [tuple(map(_typed, row, kinds)) for row in cursor]


def _typed(value, kind):
    if value is None:
        return None
    if kind == "bool":
        return bool(value)
    return moment(value) if kind.startswith("timestamp") else value


def moment(microseconds):
    return datetime(1970, 1, 1) + timedelta(microseconds=microseconds)  # noqa: DTZ001 - the table's times have no zone


def shown(table, **window):
    with closing(table.open(**window)) as connection:
        return connection.execute(READ).fetchall()


def written(folder):
    """Each file with its inode, which changes when it is written anew."""
    return {path.name: path.stat().st_ino for path in (folder / "decisions").glob("[!.]*")}


@pytest.fixture
def connection(tmp_path):
    connection = sqlite3.connect(tmp_path / "decisions.db", isolation_level=None)
    DecisionRecord().create(connection)
    yield connection
    connection.close()


@pytest.fixture
def table(tmp_path, connection):
    return DecisionTable(tmp_path / "decisions.db", tmp_path / "decisions")


@settings(max_examples=12)
@given(data=st.data())
def test_it_equals_the_record_whatever_was_exported_when(news, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "decisions.db")
        table = DecisionTable(path, Path(folder, "days"), largest_delta=data.draw(st.sampled_from([0, 1, 1000])))
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            DecisionRecord().create(connection)
            for offset, event in enumerate(data.draw(news), 1):
                DecisionRecord().apply(connection, [Record(offset, event)])
                if data.draw(st.integers(0, 5)) == 0:
                    table.export()
            expected = stored(connection)
            assert shown(table) == expected
            since, until = sorted((data.draw(st.integers(0, 72)) * HOUR, data.draw(st.integers(0, 72)) * HOUR))
            inside = [row for row in expected if moment(since) <= row[1] < moment(until)]
            assert shown(table, since=since, until=until) == inside


def test_a_late_outcome_rewrites_its_own_day_only(tmp_path, connection, table, tell, make):
    for day in range(3):
        tell(connection, make["served"](f"d{day}"), at=day * DAY, of=f"c{day}")
    assert table.export() == 3
    before = written(tmp_path)
    assert table.export() == 0
    assert written(tmp_path) == before
    tell(connection, OutcomeRecorded(csat=5), at=9 * DAY, of="c1")
    assert [row[SCHEMA.names.index("csat")] for row in shown(table)] == [None, 5, None]
    assert table.export() == 1
    after = written(tmp_path)
    assert {name for name in after if after[name] != before[name]} == {"1970-01-02.parquet"}


def test_other_programs_read_the_files(tmp_path, connection, table, tell, make):
    tell(connection, make["served"]("d1"))
    tell(connection, make["served"]("d2", latency_ms=0.1), at=DAY, of="it's c2")
    table.export()
    files = f"{tmp_path}/decisions/*.parquet"
    found = duckdb.execute("SELECT * FROM read_parquet(?) ORDER BY decision_id", [files]).fetchall()
    assert found == stored(connection)


def test_news_reach_the_table_before_any_export(connection, table, tell, make):
    tell(connection, make["served"]())
    tell(connection, FeedbackRecorded(decision_id="d1", action="rejected", agent_id="ann"))
    assert shown(table) == stored(connection)


def test_a_large_delta_is_written_to_files_by_the_query(tmp_path, connection, tell, make):
    table = DecisionTable(tmp_path / "decisions.db", tmp_path / "decisions", largest_delta=1)
    for number in range(3):
        tell(connection, make["served"](f"d{number}"), of=f"c{number}")
    assert shown(table) == stored(connection)
    assert set(written(tmp_path)) == {"1970-01-01.parquet"}


def test_deleted_files_are_made_again(tmp_path, connection, table, tell, make):
    tell(connection, make["served"]())
    table.export()
    (tmp_path / "decisions" / "1970-01-01.parquet").unlink()
    assert shown(table) == stored(connection)
    assert table.export() == 1
    assert shown(table) == stored(connection)


def test_files_of_a_record_that_was_rebuilt_are_not_trusted(tmp_path, connection, table, tell, make):
    tell(connection, make["served"]())
    table.export()
    for kind, name in connection.execute(
        "SELECT type, name FROM sqlite_master WHERE type IN ('view', 'table')"
    ).fetchall():
        connection.execute(f"DROP {kind} {name}")
    DecisionRecord().create(connection)
    tell(connection, make["served"]("d9"), at=DAY)
    assert shown(table) == stored(connection)
    table.export()
    assert set(written(tmp_path)) == {"1970-01-02.parquet"}


def test_an_interrupted_export_is_done_again(tmp_path, connection, table, tell, make):
    tell(connection, make["served"]())
    connection.execute("CREATE TRIGGER crash BEFORE INSERT ON exported BEGIN SELECT raise(ABORT, 'crash'); END")
    with pytest.raises(StorageFailed, match="crash"):
        table.export()
    assert shown(table) == stored(connection)
    connection.execute("DROP TRIGGER crash")
    assert table.export() == 1
    assert shown(table) == stored(connection)
    assert set(written(tmp_path)) == {"1970-01-01.parquet"}


def test_what_changes_while_a_file_is_written_is_not_lost(monkeypatch, connection, table, tell, make):
    tell(connection, make["served"]())
    news = FeedbackRecorded(decision_id="d1", action="accepted", agent_id="ann")
    monkeypatch.setattr("headset.feedback.table._sync", lambda path: tell(connection, news))
    assert table.export() == 1
    assert shown(table) == stored(connection)


def test_a_damaged_file_is_named(tmp_path, connection, table, tell, make):
    tell(connection, make["served"]())
    table.export()
    (tmp_path / "decisions" / "1970-01-01.parquet").write_bytes(b"no parquet")
    with pytest.raises(StorageFailed, match=r"1970-01-01.parquet.*delete"):
        shown(table)


def test_a_missing_record_is_named(tmp_path):
    with pytest.raises(StorageFailed, match=r"none.db.*catch it up"):
        DecisionTable(tmp_path / "none.db", tmp_path / "decisions").open()
