from __future__ import annotations

import duckdb
import msgspec
import pytest
from contracts.log import Scribe, ids_of

from headset.core.errors import StorageFailed
from headset.events.segment import Segments
from headset.events.sqlite import SqliteLog


@pytest.fixture
def scribe():
    return Scribe()


@pytest.fixture
def segments(tmp_path):
    return Segments(tmp_path / "segments")


@pytest.fixture
def log(tmp_path, scribe, segments):
    log = SqliteLog(tmp_path / "events.db", scribe.clock, segments=segments)
    yield log
    log.close()


def test_the_log_reads_the_same_before_and_after_sealing(log, scribe, segments):
    events = [scribe.turn(f"c{number % 3}", text=f"é{number}") for number in range(250)]
    log.append(events)
    before, conversation = log.read(), log.conversation("c1")
    assert log.seal(keep=30, segment_size=100) == 200
    assert [(segment.first, segment.last) for segment in segments.list()] == [(1, 100), (101, 200)]
    assert log.read() == before
    assert log.read(after=95, limit=10) == before[95:105]
    assert log.conversation("c1") == conversation
    assert log.get(events[0].event_id) == before[0]
    assert log.seal(keep=30, segment_size=100) == 0


def test_a_sealed_event_is_still_known_when_appended_again(log, scribe):
    events = scribe.turns(120)
    log.append(events)
    log.seal(keep=0, segment_size=100)
    assert log.append([events[5], *scribe.turns(1), events[110]]) == [6, 121, 111]


def test_duckdb_reads_from_the_segments_what_the_log_reads(log, scribe, tmp_path):
    log.append([scribe.turn(None if number % 5 == 0 else f"c{number}") for number in range(100)])
    log.seal(keep=0, segment_size=50)
    query = """
        SELECT "offset", event_id, type, schema_version, epoch_us(event_time), epoch_us(append_time), subject,
            conversation_id, source, payload, payload ->> '$.text'
        FROM read_parquet(?) ORDER BY 1
    """
    with duckdb.connect() as connection:
        rows = connection.execute(query, [str(tmp_path / "segments" / "*.parquet")]).fetchall()
    expected = [
        (
            offset,
            str(event.event_id),
            event.type,
            event.schema_version,
            event.event_time,
            event.append_time,
            event.subject,
            event.conversation_id,
            event.source,
            msgspec.json.encode(event.payload).decode(),
            event.payload.text,
        )
        for offset, event in ((record.offset, record.event) for record in log.read())
    ]
    assert rows == expected


@pytest.mark.parametrize("size", [50, 20])
def test_a_crash_between_writing_a_segment_and_letting_go_is_finished_later(log, scribe, segments, monkeypatch, size):
    log.append(scribe.turns(120))
    before = log.read()
    with monkeypatch.context() as patch:
        patch.setattr(SqliteLog, "_release", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            log.seal(keep=0, segment_size=50)
    assert log.read() == before
    assert log.seal(keep=0, segment_size=size) == (50 if size == 50 else 60)
    assert log.read() == before
    covered = [offset for segment in segments.list() for offset in range(segment.first, segment.last + 1)]
    assert covered == list(range(1, len(covered) + 1))
    live = log._fetch("SELECT min(offset) FROM events WHERE payload IS NOT NULL")[0][0]
    assert live == covered[-1] + 1


def test_a_half_written_segment_is_not_seen(log, scribe, segments, tmp_path):
    log.append(scribe.turns(60))
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / "events-000000000000001-000000000000050.partial").write_bytes(b"PAR1 half")
    assert segments.list() == []
    assert log.seal(keep=0, segment_size=50) == 50
    assert len(log.read()) == 60


def test_only_one_seals_at_a_time(log, scribe, segments):
    log.append(scribe.turns(60))
    with segments.locked(), pytest.raises(StorageFailed, match="another process is sealing"):
        log.seal(keep=0, segment_size=50)
    assert log.seal(keep=0, segment_size=50) == 50


def test_a_log_without_segments_says_so(tmp_path, scribe):
    log = SqliteLog(tmp_path / "other.db", scribe.clock)
    with pytest.raises(StorageFailed, match="no segment folder"):
        log.seal(keep=0)
    log.close()


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"PAR1 damaged")])
def test_a_missing_or_damaged_segment_is_named(log, scribe, segments, damage):
    events = scribe.turns(60)
    log.append(events)
    log.seal(keep=0, segment_size=50)
    damage(segments.list()[0].path)
    with pytest.raises(StorageFailed, match="restore the segments folder"):
        log.read()
    assert ids_of(log.read(after=50)) == [event.event_id for event in events[50:]]
