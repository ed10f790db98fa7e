from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
from contracts.log import Scribe, run_together

from headset.core.errors import StorageFailed
from headset.events import projection
from headset.events.memory import MemoryLog
from headset.events.projection import Projector
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
