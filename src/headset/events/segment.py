"""Sealed segments: old payloads as Parquet files, which DuckDB and any other engine read directly."""

from __future__ import annotations

import fcntl
import os
from bisect import bisect_right
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from headset.core.errors import StorageFailed, StorageFull

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from headset.events.log import Record

_NAME = "events-{first:015d}-{last:015d}.parquet"
_ROW_GROUP = 5_000


class Segment(NamedTuple):
    """One file with the events ``first`` to ``last``, both included."""

    first: int
    last: int
    path: Path


class Segments:
    """The sealed part of a log, in ``directory``.

    A file appears under its name only when it is complete and synced, so a reader never sees half of one.
    Columns: offset, event_id, type, schema_version, event_time, append_time (timestamps in UTC,
    microseconds), subject, conversation_id, source, payload (JSON).
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from writing segments.

        Raises:
            StorageFailed: one of them is at it, or the folder cannot be made.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._directory, os.O_RDONLY)
        except OSError as error:
            raise StorageFailed(f"{self._directory} cannot be opened ({error}); the events stay in the log") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise StorageFailed(f"another process is sealing into {self._directory}; try again later") from None
        finally:
            os.close(descriptor)

    def list(self) -> list[Segment]:
        """All complete segments, by first offset."""
        names = sorted(self._directory.glob("events-*.parquet")) if self._directory.is_dir() else []
        bounds = ((int(first), int(last)) for _, first, last in (path.stem.split("-") for path in names))
        return [Segment(first, last, path) for (first, last), path in zip(bounds, names, strict=True)]

    def write(self, records: Sequence[Record]) -> Segment:
        """Write ``records``, which must be in order and without gaps, as one file.

        Raises:
            StorageFull: the disk has no room.
            StorageFailed: the file cannot be written.
        """
        import pyarrow.parquet as pq  # noqa: PLC0415 - 0.2 s that the request path need not pay

        first, last = records[0].offset, records[-1].offset
        path = self._directory / _NAME.format(first=first, last=last)
        partial = path.with_suffix(".partial")
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            pq.write_table(_table(records), partial, compression="zstd", row_group_size=_ROW_GROUP)
            _sync(partial)
            partial.rename(path)
            _sync(self._directory)
        except OSError as error:
            partial.unlink(missing_ok=True)
            kind = StorageFull if error.errno in {28, 122} else StorageFailed
            raise kind(f"segment {path} cannot be written ({error}); the events stay in the log") from error
        return Segment(first, last, path)

    def payloads(self, offsets: Sequence[int]) -> dict[int, bytes]:
        """The payloads (JSON) of the given sealed ``offsets``; missing ones are left out."""
        import pyarrow.parquet as pq  # noqa: PLC0415 - see write

        segments = self.list()
        wanted: dict[Segment, list[int]] = {}
        for offset in offsets:
            place = bisect_right(segments, offset, key=lambda segment: segment.first) - 1
            if place >= 0 and offset <= segments[place].last:
                wanted.setdefault(segments[place], []).append(offset)
        found: dict[int, bytes] = {}
        for segment, group in wanted.items():
            bounds = [("offset", ">=", min(group)), ("offset", "<=", max(group))]
            try:
                table = pq.read_table(segment.path, columns=["offset", "payload"], filters=bounds)
            except (OSError, ValueError) as error:  # pyarrow's errors are of these kinds
                raise StorageFailed(f"{segment.path} is damaged ({error}); restore the segments folder") from error
            payloads = dict(zip(table["offset"].to_pylist(), table["payload"].to_pylist(), strict=True))
            found |= {offset: payloads[offset].encode() for offset in group if offset in payloads}
        return found


def _table(records: Sequence[Record]) -> object:
    import pyarrow as pa  # noqa: PLC0415 - see Segments.write

    moment = pa.timestamp("us", tz="UTC")
    events = [record.event for record in records]
    columns = {
        "offset": pa.array([record.offset for record in records], pa.int64()),
        "event_id": pa.array([str(event.event_id) for event in events], pa.string()),
        "type": pa.array([event.type for event in events], pa.string()),
        "schema_version": pa.array([event.schema_version for event in events], pa.int32()),
        "event_time": pa.array([event.event_time for event in events], moment),
        "append_time": pa.array([event.append_time for event in events], moment),
        "subject": pa.array([event.subject for event in events], pa.string()),
        "conversation_id": pa.array([event.conversation_id for event in events], pa.string()),
        "source": pa.array([event.source for event in events], pa.string()),
        "payload": pa.array([msgspec.json.encode(event.payload).decode() for event in events], pa.string()),
    }
    return pa.table(columns)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
