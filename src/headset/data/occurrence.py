"""How often a key was seen, for files of any length."""

from __future__ import annotations

import sqlite3
from typing import Self

from headset.core.errors import StorageFailed

_MEMORY_KIB = 32 * 1024
_COUNT = "INSERT INTO seen VALUES (?, 0) ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count"


class Occurrences:
    """Counts keys exactly, in bounded memory.

    A dictionary of ten million keys takes over a gigabyte. This is a private SQLite database that lives in
    a bounded cache and spills into an unnamed temporary file, which vanishes when it is closed.

    Raises:
        StorageFailed: the folder for temporary files has no room.

    >>> with Occurrences() as seen:
    ...     [seen.add(key) for key in (b"a", b"b", b"a")]
    [0, 0, 1]
    """

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute(f"PRAGMA cache_size = -{_MEMORY_KIB}")
        self._connection.execute("CREATE TABLE seen (key BLOB PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID")
        self._connection.execute("BEGIN")

    def add(self, key: bytes) -> int:
        """Count one more ``key``; the answer is how often it was seen before."""
        try:
            row = self._connection.execute(_COUNT, (key,)).fetchone()
        except sqlite3.Error as error:
            raise StorageFailed(f"rows cannot be counted ({error}); free room for temporary files") from error
        return int(row[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
