"""Durable appends per second: the log's group commit against one commit per event on raw sqlite3.

Every writer waits until its own event is durable before it sends the next. Both sides keep the same prebuilt
events (a turn with 120 characters of sealed text; conversations of ten events with random ids) on the same
disk, encode them while timed, and use SQLite's WAL with ``synchronous=FULL``. Tasks run on uvloop, as in
serving. Rounds of all forms alternate until the time is up. Others who use the disk or the processors only slow
a round down, and slow syncs flatter the log, so the figure compares the best round of the log with the best
round of any baseline form; the ratio of the medians is printed too.

Baseline, in its best form: one connection, one transaction per event, the same columns, the same unique index
of event ids and an index of conversation ids, called straight from 64 asyncio tasks, so that nothing waits
for a lock or a thread. The forms with 64 threads, on one connection or one each, are slower and printed too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import msgspec
import uvloop

from headset.core.clock import SystemClock
from headset.core.ids import Ids
from headset.events.appender import AsyncAppender
from headset.events.schema import Event, Sealed, TurnReceived
from headset.events.sqlite import SqliteLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

WRITERS = 64
TARGET = 8.0
SEED = 20261122
TABLE = """
CREATE TABLE events (
    offset INTEGER PRIMARY KEY, event_id BLOB NOT NULL, type TEXT NOT NULL, schema_version INTEGER NOT NULL,
    event_time INTEGER NOT NULL, append_time INTEGER NOT NULL, subject TEXT NOT NULL, conversation_id TEXT,
    source TEXT NOT NULL, payload BLOB
);
CREATE UNIQUE INDEX events_by_id ON events (event_id);
CREATE INDEX events_by_conversation ON events (conversation_id) WHERE conversation_id IS NOT NULL;
"""
INSERT = (
    "INSERT INTO events (event_id, type, schema_version, event_time, append_time, subject, conversation_id,"
    " source, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
CLOCK = SystemClock()


class RawSqlite:
    """The baseline: each event is a transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.connection = self.connect()
        self.connection.executescript(TABLE)

    def connect(self) -> sqlite3.Connection:
        """Another connection to the same file."""
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=60)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection


def keep(connection: sqlite3.Connection, event: Event) -> None:
    """One durable append; the statement is a transaction of its own, the cheapest SQLite has."""
    row = (
        event.event_id.bytes,
        event.type,
        event.schema_version,
        event.event_time,
        CLOCK.now(),
        event.subject,
        event.conversation_id,
        event.source,
        msgspec.json.encode(event.payload),
    )
    connection.execute(INSERT, row)


def make_events(count: int, random: Random) -> list[list[Event]]:
    """``count`` events dealt to the writers, each of whom talks in conversations of ten events."""
    ids = Ids(CLOCK, random)
    shares: list[list[Event]] = [[] for _ in range(WRITERS)]
    conversations = [""] * WRITERS
    for number in range(count):
        writer = number % WRITERS
        if number // WRITERS % 10 == 0:
            conversations[writer] = f"{random.getrandbits(128):032x}"
        payload = TurnReceived(
            turn_id=str(number), position=0, speaker="customer", text=Sealed(f"{random.getrandbits(480):0120x}")
        )
        shares[writer].append(
            Event(
                event_id=ids.new(),
                event_time=CLOCK.now(),
                subject=conversations[writer],
                conversation_id=conversations[writer],
                source="api",
                payload=payload,
            )
        )
    return shares


def raw_tasks(shares: list[list[Event]], path: Path) -> float:
    """Baseline, best form: tasks on one connection."""
    raw = RawSqlite(path)

    async def write(share: Iterable[Event]) -> None:
        for event in share:
            keep(raw.connection, event)
            await asyncio.sleep(0)

    return timed_tasks(shares, lambda: write)


def raw_threads(shares: list[list[Event]], path: Path) -> float:
    """Baseline: threads that take turns on one connection."""
    raw, turn = RawSqlite(path), threading.Lock()

    def write(share: Iterable[Event]) -> None:
        for event in share:
            with turn:
                keep(raw.connection, event)

    return timed_threads(shares, write)


def raw_connections(shares: list[list[Event]], path: Path) -> float:
    """Baseline: threads with a connection each; SQLite's own lock makes them take turns."""
    raw = RawSqlite(path)

    def write(share: Iterable[Event]) -> None:
        connection = raw.connect()
        for event in share:
            keep(connection, event)
        connection.close()

    return timed_threads(shares, write)


def log_tasks(shares: list[list[Event]], path: Path) -> float:
    """The log as the serving process uses it: tasks and one appender."""
    log = SqliteLog(path, CLOCK)

    def begin() -> Callable[[Iterable[Event]], object]:
        appender = AsyncAppender(log, asyncio.get_running_loop())

        async def write(share: Iterable[Event]) -> None:
            for event in share:
                await appender.append([event])

        return write

    rate = timed_tasks(shares, begin)
    check(log, shares)
    return rate


def log_threads(shares: list[list[Event]], path: Path) -> float:
    """The log under threads that block."""
    log = SqliteLog(path, CLOCK)

    def write(share: Iterable[Event]) -> None:
        for event in share:
            log.append([event])

    rate = timed_threads(shares, write)
    check(log, shares)
    return rate


def check(log: SqliteLog, shares: list[list[Event]]) -> None:
    """Every event must be there."""
    expected = sum(map(len, shares))
    if log.head() != expected:
        sys.exit(f"the log holds {log.head()} events, {expected} were acknowledged")
    log.close()


def timed_tasks(shares: list[list[Event]], begin: Callable[[], Callable[[Iterable[Event]], object]]) -> float:
    """Appends per second with one asyncio task per share."""

    async def run() -> float:
        write = begin()
        started = time.perf_counter()
        await asyncio.gather(*[write(share) for share in shares])  # type: ignore[call-overload]
        return time.perf_counter() - started

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return sum(map(len, shares)) / runner.run(run())


def timed_threads(shares: list[list[Event]], write: Callable[[Iterable[Event]], None]) -> float:
    """Appends per second with one thread per share."""
    threads = [threading.Thread(target=write, args=(share,)) for share in shares]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(map(len, shares)) / (time.perf_counter() - started)


FORMS = {
    "raw sqlite3, 64 tasks on one connection (baseline)": (raw_tasks, 10),
    "raw sqlite3, 64 threads on one connection": (raw_threads, 5),
    "raw sqlite3, 64 threads, a connection each": (raw_connections, 1),
    "SqliteLog, 64 tasks, AsyncAppender": (log_tasks, 200),
    "SqliteLog, 64 threads, append": (log_threads, 40),
}


def main() -> None:
    """Run all forms in alternation and print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="30 seconds instead of 150")
    limit_s = 30 if parser.parse_args().quick else 150
    random = Random(SEED)
    rates: dict[str, list[float]] = {name: [] for name in FORMS}
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder:
        started = time.perf_counter()
        while time.perf_counter() - started < limit_s:
            for name, (form, per_writer) in FORMS.items():
                shares = make_events(per_writer * WRITERS, random)
                rates[name].append(form(shares, Path(folder) / f"{sum(map(len, rates.values()))}.db"))
    print(f"{'appends per second, each waited for':52s} {'median':>9s} {'lowest':>9s} {'highest':>9s}")
    for name, found in rates.items():
        print(f"{name:52s} {statistics.median(found):9,.0f} {min(found):9,.0f} {max(found):9,.0f}")
    *raw, log, _ = rates.values()
    best = max(max(found) for found in raw)
    figure = max(log) / best
    print(f"ratio of best rounds {figure:.1f}, of medians {statistics.median(log) / statistics.median(raw[0]):.1f}")
    result = {
        "name": "append_throughput",
        "figure": round(figure, 2),
        "unit": "times the durable appends per second of one commit per event on raw sqlite3, 64 writers",
        "target": TARGET,
        "holds": figure >= TARGET,
        "baseline": f"one commit per event on raw sqlite3, best form and round: {best:.0f} appends per second",
        "machine": f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()},"
        f" SQLite {sqlite3.sqlite_version}",
        "seed": SEED,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
