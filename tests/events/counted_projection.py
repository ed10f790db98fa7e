"""A small projection: events per conversation; and a process that catches it up until it is killed.

python counted_projection.py FOLDER
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from headset.core.clock import SystemClock
from headset.events.projection import Projector
from headset.events.sqlite import SqliteLog

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from headset.events.log import Record


class Counted:
    """Counts, sums and the order of arrival, so that a lost, doubled or swapped event shows."""

    name = "counted"

    def __init__(self, version: int = 1, pause_s: float = 0, types: Collection[str] | None = None) -> None:
        self.version = version
        self.types = types
        self._pause_s = pause_s

    def create(self, connection: sqlite3.Connection) -> None:
        """See Projection."""
        connection.execute("CREATE TABLE counted (conversation_id TEXT PRIMARY KEY, events INTEGER, offsets INTEGER)")
        connection.execute("CREATE VIEW busiest AS SELECT * FROM counted ORDER BY events DESC")

    def apply(self, connection: sqlite3.Connection, records: Sequence[Record]) -> None:
        """See Projection."""
        rows = [(record.event.conversation_id, record.offset) for record in records]
        upsert = "ON CONFLICT DO UPDATE SET events = events + 1, offsets = offsets * 31 % 1000003 + excluded.offsets"
        connection.executemany(f"INSERT INTO counted VALUES (?, 1, ?) {upsert}", rows)
        time.sleep(self._pause_s)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    Projector(SqliteLog(folder / "events.db", SystemClock()), Counted(pause_s=0.01), folder / "counted.db").catch_up()
