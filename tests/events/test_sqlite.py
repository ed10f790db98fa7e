from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from random import Random
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from contracts.log import DurableLogContract, Scribe, ids_of, run_together
from msgspec.structs import replace

from headset.core.errors import InvalidInput, Overloaded, StorageFailed, StorageFull
from headset.events.schema import CONTROL
from headset.events.segment import Segments
from headset.events.sqlite import SqliteLog
from headset.events.vault import Vault
from headset.jobs.record import JobRecord

KILLS = 50
WRITER = Path(__file__).with_name("killed_writer.py")


class TestSqliteLog(DurableLogContract):
    def open_log(self, folder, clock, **options):
        return SqliteLog(folder / "events.db", clock, segments=Segments(folder / "segments"), **options)


@pytest.fixture
def scribe():
    return Scribe()


@pytest.fixture
def log(tmp_path, scribe):
    log = SqliteLog(tmp_path / "events.db", scribe.clock)
    yield log
    log.close()


def start_writer(folder, seed, *arguments):
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PATH": os.environ["PATH"]}
    return subprocess.Popen([sys.executable, str(WRITER), str(folder), str(seed), *arguments], env=environment)


# -- the writer ------------------------------------------------------------------------------------


def test_a_full_queue_refuses_and_says_so(tmp_path, scribe):
    gate = threading.Event()
    log = SqliteLog(tmp_path / "events.db", scribe.clock, before_commit=gate.wait, queue_limit=10)
    accepted = []

    def flood():
        while len(accepted) < 50:
            accepted.append(log.append_soon(scribe.turns(1)))

    with pytest.raises(Overloaded, match="the limit is 10"):
        flood()
    gate.set()
    assert [future.result() for future in accepted] == [[offset] for offset in range(1, len(accepted) + 1)]
    assert log.append(scribe.turns(50))[-1] == len(accepted) + 50
    log.close()


def test_nothing_is_acknowledged_when_what_must_come_first_fails(tmp_path, scribe):
    failures = [StorageFailed("no room for keys")]

    def flush():
        if failures:
            raise failures.pop()

    log = SqliteLog(tmp_path / "events.db", scribe.clock, before_commit=flush)
    event = scribe.turn()
    with pytest.raises(StorageFailed, match="no room for keys"):
        log.append([event])
    assert log.get(event.event_id) is None
    assert log.append([event]) == [1]
    log.close()


@pytest.mark.parametrize("bad", [{"event_time": 1 << 70}, {"subject": "\ud800"}, {"source": None}])
def test_an_event_that_cannot_be_kept_fails_its_own_call_only(tmp_path, scribe, bad):
    gate = threading.Event()
    log = SqliteLog(tmp_path / "events.db", scribe.clock, before_commit=gate.wait)
    futures = [log.append_soon(scribe.turns(2)) for _ in range(5)]
    refused = log.append_soon([scribe.turn(), replace(scribe.turn(), **bad)])
    futures += [log.append_soon(scribe.turns(2)) for _ in range(5)]
    gate.set()
    with pytest.raises(InvalidInput, match="event"):
        refused.result()
    assert [offset for future in futures for offset in future.result()] == list(range(1, 21))
    assert log.head() == 20
    log.close()


def test_what_is_cancelled_while_it_waits_is_not_kept(tmp_path, scribe):
    gate, entered = threading.Event(), threading.Event()

    def hold():
        entered.set()
        gate.wait()

    log = SqliteLog(tmp_path / "events.db", scribe.clock, before_commit=hold)
    writing = log.append_soon(scribe.turns(1))
    entered.wait()
    events = scribe.turns(4)
    waiting = [log.append_soon([event]) for event in events]
    assert [future.cancel() for future in (writing, waiting[0], waiting[2])] == [False, True, True]
    gate.set()
    assert [future.result() for future in (writing, waiting[1], waiting[3])] == [[1], [2], [3]]
    assert ids_of(log.read(after=1)) == [events[1].event_id, events[3].event_id]
    log.close()


def test_a_group_of_cancelled_calls_is_nothing(tmp_path, scribe):
    gate, entered = threading.Event(), threading.Event()

    def hold():
        entered.set()
        gate.wait()

    log = SqliteLog(tmp_path / "events.db", scribe.clock, before_commit=hold)
    first = log.append_soon(scribe.turns(1))
    entered.wait()
    assert [log.append_soon(scribe.turns(1)).cancel() for _ in range(3)] == [True, True, True]
    gate.set()
    assert first.result() == [1]
    assert log.append(scribe.turns(1)) == [2]
    log.close()


@pytest.mark.parametrize("entry", [0, 1])
def test_a_future_settled_by_its_owner_harms_no_other(tmp_path, scribe, entry):
    """Before the writer takes it and after; nobody should, and nobody else must suffer."""
    gate, entered = threading.Event(), threading.Event()

    def hold():
        entered.set()
        gate.wait()

    log = SqliteLog(tmp_path / "events.db", scribe.clock, before_commit=hold)
    futures = [log.append_soon(scribe.turns(1))]
    entered.wait()
    futures += [log.append_soon(scribe.turns(1)), log.append_soon(scribe.turns(1))]
    futures[entry].set_result([])
    gate.set()
    assert futures[2].result(timeout=20) == [log.head()]
    assert log.append_soon(scribe.turns(1)).result(timeout=20) == [log.head()]
    log.close()


def test_whatever_is_raised_before_a_commit_reaches_the_caller_and_the_writer_goes_on(tmp_path, scribe):
    failures = [SystemExit("leave")]

    def flush():
        if failures:
            raise failures.pop()

    log = SqliteLog(tmp_path / "events.db", scribe.clock, before_commit=flush)
    with pytest.raises(StorageFailed, match="leave"):
        log.append(scribe.turns(1))
    assert log.append(scribe.turns(1)) == [1]
    log.close()


# -- events of another version -----------------------------------------------------------------------

UNREADABLE = [
    b'{"type":"NotYetInvented"}',
    b'{"type":"TurnReceived"}',
    b"{",
    b'{"type":"ConversationEnded","x":"\xff"}',
]


@pytest.mark.parametrize("payload", UNREADABLE)
def test_an_event_that_cannot_be_read_is_named(tmp_path, scribe, log, payload):
    log.append(scribe.turns(1))
    (later,) = scribe.turns(1)
    log.append([later])
    with closing(sqlite3.connect(tmp_path / "events.db")) as raw, raw:
        raw.execute("UPDATE events SET payload = ?, type = 'Later' WHERE offset = 2", (payload,))
    named = pytest.raises(StorageFailed, match=r"event 2 cannot be read \(.+\); it was written by another version")
    with named:
        log.read()
    with named:
        log.get(later.event_id)
    with named:
        log.conversation("c1")
    assert [record.offset for record in log.read(types={"TurnReceived"})] == [1]
    assert log.append(scribe.turns(1)) == [3]


def test_a_sealed_event_that_cannot_be_read_is_named(tmp_path, scribe):
    log = SqliteLog(tmp_path / "events.db", scribe.clock, segments=Segments(tmp_path / "segments"))
    log.append(scribe.turns(3))
    assert log.seal(keep=0, segment_size=3) == 3
    (file,) = (tmp_path / "segments").iterdir()
    table = pq.read_table(file)
    strange = pa.array([*table["payload"].to_pylist()[:2], '{"type":"NotYetInvented"}'])
    pq.write_table(table.set_column(table.schema.get_field_index("payload"), "payload", strange), file)
    assert len(log.read(limit=2)) == 2
    with pytest.raises(StorageFailed, match="event 3 cannot be read"):
        log.read()
    log.close()


def test_a_file_that_is_no_log_is_refused(tmp_path, scribe):
    (tmp_path / "events.db").write_bytes(b"not a database " * 100)
    with pytest.raises(StorageFailed, match="not a log"):
        SqliteLog(tmp_path / "events.db", scribe.clock)


def test_conversations_are_found_when_their_index_lags_in_another_process(tmp_path, scribe):
    logs = [SqliteLog(tmp_path / "events.db", scribe.clock) for _ in range(2)]
    run_together(2, lambda number: [logs[number].append(Scribe(number).turns(97, f"c{number}")) for _ in range(30)])
    for number in range(2):
        for log in logs:
            assert len(log.conversation(f"c{number}")) == 97
    for log in logs:
        log.close()


# -- a full disk -----------------------------------------------------------------------------------


def fill(log, scribe):
    """Append until the log is full; return what it acknowledged."""
    kept = []

    def flood():
        for _ in range(5_000):
            events = [scribe.turn(text="x" * 2_000) for _ in range(5)]
            log.append(events)
            kept.extend(events)

    with pytest.raises(StorageFull, match="free disk space"):
        flood()
    return kept


def check_survived(log, scribe, kept):
    """All that was acknowledged is there, nothing else, and the log goes on."""
    assert ids_of(log.read(limit=100_000)) == [event.event_id for event in kept]
    assert log.append(scribe.turns(3)) == [len(kept) + 1, len(kept) + 2, len(kept) + 3]


def test_a_file_at_its_size_limit_loses_nothing_and_goes_on_when_room_returns(tmp_path, scribe):
    log = SqliteLog(tmp_path / "events.db", scribe.clock)
    before = log.append(scribe.turns(20))
    events = [record.event for record in log.read()]
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, unlimited[1]))
    try:
        kept = fill(log, scribe)
        with pytest.raises(StorageFull):
            log.append([scribe.turn(text="x" * 500_000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    check_survived(log, scribe, events + kept)
    log.close()
    assert before == list(range(1, 21))


def test_a_full_disk_loses_nothing_and_the_log_goes_on_when_room_returns(tmp_path, scribe):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a small file system")
    try:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(1_500_000))
        log = SqliteLog(disk / "events.db", scribe.clock)
        kept = fill(log, scribe)
        ballast.unlink()
        check_survived(log, scribe, kept)
        log.close()
        reopened = SqliteLog(disk / "events.db", scribe.clock)
        assert reopened.head() == len(kept) + 3
        reopened.close()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# -- a torn write ----------------------------------------------------------------------------------


def crashed_copy(source, target):
    """The files as a power cut leaves them: database and write-ahead log, without the shared index."""
    target.mkdir()
    for name in ("events.db", "events.db-wal"):
        shutil.copy(source / name, target / name)
    return target / "events.db-wal"


@pytest.mark.parametrize("seed", range(10))
def test_a_torn_last_write_loses_nothing_acknowledged(tmp_path, scribe, log, seed):
    random = Random(seed)
    acknowledged = [event for _ in range(5) for event in scribe.turns(4)]
    log.append(acknowledged)
    whole = (tmp_path / "events.db-wal").stat().st_size
    later = scribe.turns(40)
    log.append(later)
    wal = crashed_copy(tmp_path, tmp_path / "crashed")
    torn = random.randrange(whole, wal.stat().st_size)
    with wal.open("r+b") as file:
        file.truncate(torn)
        if seed % 2:  # the disk wrote something else there
            file.seek(torn)
            file.write(random.randbytes(random.randrange(1, 10_000)))
    reopened = SqliteLog(tmp_path / "crashed" / "events.db", scribe.clock)
    assert ids_of(reopened.read()) == [event.event_id for event in acknowledged]
    assert reopened.append([*later, acknowledged[0]]) == [*range(21, 61), 1]
    reopened.close()


def test_garbage_behind_the_last_write_is_ignored(tmp_path, scribe, log):
    events = scribe.turns(30)
    log.append(events)
    wal = crashed_copy(tmp_path, tmp_path / "crashed")
    with wal.open("ab") as file:
        file.write(Random(3).randbytes(6_000))
    reopened = SqliteLog(tmp_path / "crashed" / "events.db", scribe.clock)
    assert ids_of(reopened.read()) == [event.event_id for event in events]
    assert reopened.append(scribe.turns(1)) == [31]
    reopened.close()


# -- processes -------------------------------------------------------------------------------------


def test_late_commit_of_another_process_never_appears_behind_a_reader(tmp_path, scribe):
    log = SqliteLog(tmp_path / "events.db", scribe.clock)
    writers = [start_writer(tmp_path, seed, "60") for seed in range(3)]
    expected, seen = 3 * 4 * 60, []
    deadline = time.monotonic() + 60
    while len(seen) < expected and time.monotonic() < deadline:
        seen += [record.offset for record in log.read(after=seen[-1] if seen else 0, limit=23)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert seen == list(range(1, expected + 1))
    log.close()


@pytest.mark.slow
def test_kill_9_under_load_loses_and_doubles_nothing_acknowledged(tmp_path, scribe):
    random, notes, checked = Random(20261122), tmp_path / "acknowledged", 0
    notes.touch()
    for kill in range(KILLS):
        before = notes.stat().st_size
        writer = start_writer(tmp_path, kill)
        try:
            while notes.stat().st_size == before:
                assert writer.poll() is None
                time.sleep(0.002)
            time.sleep(random.random() * 0.1)
        finally:
            writer.kill()
            writer.wait()
        with notes.open("rb") as file:
            file.seek(before)
            lines = file.read().decode().splitlines()
        checked = check_after_kill(tmp_path, scribe, lines, checked)
    log = SqliteLog(tmp_path / "events.db", scribe.clock)
    records = log.read(limit=10_000_000)
    assert [record.offset for record in records] == list(range(1, log.head() + 1))
    assert len(set(ids_of(records))) == len(records)
    noted = [line.split("\t")[:2] for line in notes.read_text().splitlines()]
    by_offset = {record.offset: record.event.event_id.hex for record in records}
    assert all(by_offset[int(offset)] == event_id for offset, event_id in noted)
    assert len({offset for offset, _ in noted}) == len(noted) >= KILLS
    log.close()


def check_after_kill(folder, scribe, lines, checked):
    """Every line's event is at its offset, new since the last check, and its text opens."""
    log = SqliteLog(folder / "events.db", scribe.clock)
    vault = Vault(folder / "vault.db", bytes(32))
    kept = {record.offset: record.event for record in log.read(after=checked, limit=1_000_000)}
    assert lines
    for line in lines:
        offset, event_id, subject, sealed, text = line.split("\t")
        assert kept[int(offset)].event_id == UUID(event_id)
        assert kept[int(offset)].payload.text == sealed
        assert vault.open(subject, sealed) == text
    head = log.head()
    log.close()
    vault.close()
    return head


def test_the_record_of_jobs_is_read_by_the_index_of_control():
    assert CONTROL.issuperset(JobRecord.types)


def test_the_few_events_of_control_are_found_by_their_index(log):
    (plan,) = [
        row[-1]
        for row in log._fetch(
            "EXPLAIN QUERY PLAN SELECT * FROM events WHERE offset > 0 AND type IN ('Promoted', 'ModelRegistered')"
            " AND conversation_id IS NULL ORDER BY offset LIMIT 9"
        )
        if "SEARCH" in row[-1] or "SCAN" in row[-1]
    ]
    assert "events_of_control" in plan
