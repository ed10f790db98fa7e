from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from contracts.log import Scribe, run_together
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from headset.core.errors import StorageFailed
from headset.events import projection
from headset.events.memory import MemoryLog
from headset.events.projection import Projector
from headset.events.schema import ConversationEnded
from headset.events.sqlite import SqliteLog

sys.path.insert(0, str(Path(__file__).parent))
from counted_projection import Counted

PROCESS = Path(__file__).with_name("counted_projection.py")


@pytest.fixture
def scribe():
    return Scribe()


@pytest.fixture
def log(scribe):
    log = MemoryLog(scribe.clock)
    yield log
    log.close()


def rows(projector):
    return projector.connection.execute("SELECT * FROM counted ORDER BY 1").fetchall()


def fresh(log, folder, name="fresh.db"):
    """The state computed at once from the whole log."""
    projector = Projector(log, Counted(), folder / name)
    projector.catch_up()
    found = rows(projector)
    projector.close()
    return found


def append_some(log, scribe, count=300):
    log.append([scribe.turn(f"c{number % 7}") for number in range(count)])


def test_rebuilt_state_equals_the_state_kept_up_to_date(log, scribe, tmp_path, monkeypatch):
    monkeypatch.setattr(projection, "_BATCH", 64)
    projector = Projector(log, Counted(), tmp_path / "counted.db")
    folded = 0
    for count in (10, 200, 0, 64, 128, 1):
        append_some(log, scribe, count)
        folded += projector.catch_up()
    kept = rows(projector)
    assert folded == log.head() == 403
    assert projector.catch_up() == 0
    assert projector.rebuild() == 403
    assert rows(projector) == kept == fresh(log, tmp_path)
    projector.close()


def test_deleted_state_comes_back(log, scribe, tmp_path):
    append_some(log, scribe)
    before = fresh(log, tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    assert fresh(log, tmp_path) == before


def test_the_position_is_kept_with_the_output(log, scribe, tmp_path):
    append_some(log, scribe)
    first = Projector(log, Counted(), tmp_path / "counted.db")
    assert first.catch_up() == 300
    first.close()
    second = Projector(log, Counted(), tmp_path / "counted.db")
    assert second.catch_up() == 0
    second.close()


def test_a_new_version_is_built_from_the_first_event(log, scribe, tmp_path):
    append_some(log, scribe)
    old = Projector(log, Counted(version=1), tmp_path / "counted.db")
    old.catch_up()
    old.connection.execute("UPDATE counted SET events = 0")
    old.close()
    new = Projector(log, Counted(version=2), tmp_path / "counted.db")
    assert new.catch_up() == 300
    assert rows(new) == fresh(log, tmp_path)
    new.close()


def test_state_of_a_longer_log_is_built_anew(log, scribe, tmp_path):
    append_some(log, scribe)
    fresh(log, tmp_path, "counted.db")
    restored = MemoryLog(scribe.clock)
    append_some(restored, scribe, 20)
    projector = Projector(restored, Counted(), tmp_path / "counted.db")
    assert projector.catch_up() == 20
    assert rows(projector) == fresh(restored, tmp_path)
    projector.close()


def test_readers_see_whole_batches_only(log, scribe, tmp_path):
    class Peeking(Counted):
        def apply(self, connection, records):
            super().apply(connection, records)
            if before:
                assert rows(projector) == before

    before = []
    projector = Projector(log, Peeking(), tmp_path / "counted.db")
    append_some(log, scribe)
    projector.catch_up()
    before = rows(projector)
    append_some(log, scribe)
    assert projector.catch_up() == 300
    assert rows(projector) != before
    projector.close()


def test_a_failing_projection_keeps_its_last_state(log, scribe, tmp_path):
    class Broken(Counted):
        def apply(self, connection, records):
            super().apply(connection, records)
            raise ValueError("bug")

    append_some(log, scribe)
    before = fresh(log, tmp_path, "counted.db")
    append_some(log, scribe)
    broken = Projector(log, Broken(), tmp_path / "counted.db")
    with pytest.raises(ValueError, match="bug"):
        broken.catch_up()
    assert rows(broken) == before
    broken.close()
    mended = Projector(log, Counted(), tmp_path / "counted.db")
    assert mended.catch_up() == 300
    mended.close()


def test_a_file_that_is_no_database_is_named(log, tmp_path):
    (tmp_path / "counted.db").write_bytes(b"nothing of use " * 100)
    with pytest.raises(StorageFailed, match="delete it"):
        Projector(log, Counted(), tmp_path / "counted.db")


# -- types -----------------------------------------------------------------------------------------


def ended(scribe, conversation_id="c1"):
    return replace(scribe.turn(conversation_id), payload=ConversationEnded(ended_by="customer"))


def position(projector):
    return projector.connection.execute("SELECT position FROM checkpoint").fetchone()[0]


def test_a_projection_is_given_its_types_only(log, scribe, tmp_path, monkeypatch):
    monkeypatch.setattr(projection, "_BATCH", 5)
    log.append([ended(scribe) if number % 3 else scribe.turn() for number in range(100)])
    projector = Projector(log, Counted(types={"TurnReceived"}), tmp_path / "counted.db")
    assert projector.catch_up() == 34
    assert position(projector) == 100
    assert rows(projector)[0][1] == 34
    projector.close()


def test_when_only_other_types_came_the_position_moves_once_and_then_nothing_is_written(log, scribe, tmp_path):
    projector = Projector(log, Counted(types=["TurnReceived"]), tmp_path / "counted.db")
    log.append([scribe.turn(), ended(scribe), ended(scribe)])
    assert projector.catch_up() == 1
    for _ in range(2):
        log.append([ended(scribe)])
        assert projector.catch_up() == 0
        assert position(projector) == log.head()
    with closing(sqlite3.connect(tmp_path / "counted.db", isolation_level=None, timeout=0)) as other:
        other.execute("BEGIN IMMEDIATE")  # whoever wants to write now waits
        projector._writer.execute("PRAGMA busy_timeout = 0")
        assert projector.catch_up() == 0
        log.append([scribe.turn()])
        with pytest.raises(StorageFailed, match="locked"):
            projector.catch_up()
    assert projector.catch_up() == 1
    projector.close()


def test_an_unreadable_event_of_another_type_stops_nobody(scribe, tmp_path):
    log = SqliteLog(tmp_path / "events.db", scribe.clock)
    log.append([scribe.turn(), ended(scribe), scribe.turn()])
    with closing(sqlite3.connect(tmp_path / "events.db")) as raw, raw:
        raw.execute("""UPDATE events SET payload = '{"type":"Later"}', type = 'Later' WHERE offset = 2""")
    projector = Projector(log, Counted(types={"TurnReceived"}), tmp_path / "counted.db")
    assert projector.catch_up() == 2
    projector.close()
    log.close()


@settings(max_examples=60, deadline=None)
@given(data=st.data(), batch=st.integers(1, 4))
def test_what_is_appended_between_head_and_read_is_folded_once(tmp_path_factory, data, batch):
    """The log grows by a few events of either type each time its head was told, before anyone reads on."""
    folder, scribe = tmp_path_factory.mktemp("race"), Scribe()

    class Growing(MemoryLog):
        def head(self):
            found = super().head()
            for wanted in data.draw(st.lists(st.booleans(), max_size=3)) if still else ():
                self.append([scribe.turn() if wanted else ended(scribe)])
            return found

    log, still = Growing(scribe.clock), False
    log.append([scribe.turn(), ended(scribe)])
    seen = []

    class Seeing(Counted):
        def apply(self, connection, records):
            super().apply(connection, records)
            seen.extend(record.offset for record in records)

    with (
        pytest.MonkeyPatch.context() as patch,
        closing(Projector(log, Seeing(types={"TurnReceived"}), folder / "counted.db")) as projector,
    ):
        patch.setattr(projection, "_BATCH", batch)
        still = True
        for _ in range(4):
            projector._advance()
        still = False
        projector.catch_up()
        assert seen == [record.offset for record in log.read(types={"TurnReceived"})]
        assert position(projector) == log.head()


def test_projectors_of_some_types_keep_up_with_racing_writers(scribe, tmp_path, monkeypatch):
    monkeypatch.setattr(projection, "_BATCH", 16)
    log = SqliteLog(tmp_path / "events.db", scribe.clock)
    projectors = [Projector(log, Counted(types={"TurnReceived"}), tmp_path / "counted.db") for _ in range(2)]
    writing = threading.Event()
    writing.set()

    def work(number):
        if number < 2:
            folded = 0
            while writing.is_set():
                folded += projectors[number].catch_up()
            return folded + projectors[number].catch_up()
        own = Scribe(number)
        for count in range(150):
            log.append([own.turn(f"c{count % 5}"), *[ended(own)] * (count % 2)])
        return 0

    def work_and_tell(number):
        try:
            return work(number)
        finally:
            if number == 2:
                writing.clear()

    assert sum(run_together(5, work_and_tell)) + projectors[0].catch_up() == 3 * 150
    anew = Projector(log, Counted(types={"TurnReceived"}), tmp_path / "fresh.db")
    anew.catch_up()
    assert rows(anew) == rows(projectors[0])
    for projector in (anew, *projectors):
        projector.close()
    log.close()


# -- a file that goes away -------------------------------------------------------------------------


@pytest.mark.parametrize("gone", ["folder", "file", "replaced"])
def test_a_file_deleted_under_a_running_projector_is_built_anew(log, scribe, tmp_path, gone):
    path = tmp_path / "projections" / "counted.db"
    projectors = [Projector(log, Counted(), path) for _ in range(2)]
    append_some(log, scribe)
    assert projectors[0].catch_up() == 300
    before, reading = rows(projectors[0]), projectors[0].connection
    if gone == "folder":
        shutil.rmtree(path.parent)
    else:
        path.unlink()
    if gone == "replaced":
        fresh(MemoryLog(scribe.clock), path.parent, "other.db")
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        (path.parent / "other.db").rename(path)
    assert projectors[0].catch_up() == 300
    assert projectors[1].catch_up() == 0
    assert reading.execute("SELECT count(*) FROM counted").fetchone() == (7,)
    append_some(log, scribe, 7)
    assert projectors[1].catch_up() == 7
    assert projectors[0].connection is not reading
    assert rows(projectors[0]) == rows(projectors[1]) == fresh(log, tmp_path) != before
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as other:
        assert other.execute("SELECT sum(events) FROM counted").fetchone() == (307,)
    for projector in projectors:
        projector.close()


def test_a_file_that_cannot_be_made_anew_is_made_when_it_can(log, scribe, tmp_path):
    folder = tmp_path / "projections"
    projector = Projector(log, Counted(), folder / "counted.db")
    append_some(log, scribe)
    projector.catch_up()
    shutil.rmtree(folder)
    folder.write_text("in the way")
    for _ in range(2):
        with pytest.raises(StorageFailed, match="cannot be opened"):
            projector.catch_up()
    folder.unlink()
    assert projector.rebuild() == 300
    assert rows(projector) == fresh(log, tmp_path)
    projector.close()


# -- several at once -------------------------------------------------------------------------------


def test_several_projectors_fold_each_event_into_one_file_once(scribe, tmp_path, monkeypatch):
    monkeypatch.setattr(projection, "_BATCH", 32)
    log = SqliteLog(tmp_path / "events.db", scribe.clock)
    append_some(log, scribe, 800)
    projectors = [Projector(log, Counted(), tmp_path / "counted.db") for _ in range(4)]
    assert sum(run_together(4, lambda number: projectors[number].catch_up())) == 800
    assert rows(projectors[0]) == fresh(log, tmp_path)
    for projector in projectors:
        projector.close()
    log.close()


@pytest.mark.slow
def test_processes_killed_while_catching_up_leave_whole_state(scribe, tmp_path):
    log = SqliteLog(tmp_path / "events.db", scribe.clock)
    append_some(log, scribe, 30_000)
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PATH": os.environ["PATH"]}
    random = Random(3)
    for _ in range(6):
        processes = [subprocess.Popen([sys.executable, str(PROCESS), str(tmp_path)], env=environment) for _ in range(2)]
        time.sleep(0.1 + random.random() * 0.1)
        for process in processes:
            process.kill()
            process.wait()
    projector = Projector(log, Counted(), tmp_path / "counted.db")
    projector.catch_up()
    assert rows(projector) == fresh(log, tmp_path)
    assert sum(events for _, events, _ in rows(projector)) == 30_000
    projector.close()
    log.close()
