"""Rows: what is kept of one key of one view, and how values are read from it.

A key's state is one row per fact, sorted by event time and id, and nothing else: so a value is exact for its window
to the microsecond, a fact told twice is recognised, and one that comes late takes its place.

A read of a long window merges tiles: sums over aligned spans of 8ⁿ µs, made when first read, forgotten when a fact
falls into them. A window of n rows is covered by some 14 log₈ n tiles and a few rows at its edges, so the time of a
read grows with the logarithm of the rows in the window, that of an update hardly at all, and neither with history.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headset.features.aggregation import Aggregation, Row

    Part = tuple[int, int] | list[Row]
    """Level and number of a tile, or rows themselves."""

FEW = 32
"""Rows are folded directly up to this number."""

_FAN_OUT = 8
_LEVELS = 16  # 8**16 us are nine years


class Rows:
    """The rows of one key of one view, by event time and id; and tiles made of them.

    Attributes:
        rows: The rows.
        tiles: States by level and number of the tile, then by aggregation and place.
        reordered: How often the rows changed otherwise than by one more at the end.
    """

    __slots__ = ("reordered", "rows", "tiles")

    def __init__(self, rows: list[Row] | None = None) -> None:
        self.rows: list[Row] = [] if rows is None else rows
        self.tiles: dict[tuple[int, int], dict[tuple[Aggregation, int], Any]] = {}
        self.reordered = 0

    def put(self, time: int, event_id: bytes, values: tuple[Any, ...] | None) -> None:
        """Keep ``values`` as those of the event, or drop its row where they are None."""
        rows = self.rows
        place = bisect_left(rows, (time, event_id))
        if place < len(rows) and rows[place][:2] == (time, event_id):
            if rows[place][2] == values:
                return
            del rows[place]
            self.reordered += 1
        elif values is None:
            return
        if values is not None:
            self.reordered += place < len(rows)
            rows.insert(place, (time, event_id, values))
        for level in range(_LEVELS) if self.tiles else ():
            self.tiles.pop((level, time // _FAN_OUT**level), None)

    def drop(self, until: int) -> None:
        """Forget rows up to ``until``, once they are half of all, so that a row is moved once on average."""
        rows = self.rows
        if rows and rows[len(rows) // 2][0] <= until:
            del rows[: self.place(until + 1)]
            self.reordered += 1
            self.tiles = {
                (level, tile): made for (level, tile), made in self.tiles.items() if tile * _FAN_OUT**level > until
            }

    def place(self, time: int) -> int:
        """How many rows are before ``time``."""
        return bisect_left(self.rows, (time,))

    def cover(self, start: int, end: int) -> list[Part]:
        """Tiles and lists of rows that hold each row with ``start <= time < end`` once."""
        parts: list[Part] = []
        self._cover(start, end, _level(end - start), parts)
        return parts

    def state(self, aggregation: Aggregation, place: int, parts: Sequence[Part]) -> Any:  # noqa: ANN401
        """The state of the values at ``place`` in ``parts``; None where there are none."""
        states = [
            aggregation.fold(part, place) if isinstance(part, list) else self._tile(aggregation, place, part)
            for part in parts
        ]
        known = [state for state in states if state is not None]
        return aggregation.merge(known) if len(known) > 1 else known[0] if known else None

    def _cover(self, start: int, end: int, level: int, parts: list[Part]) -> None:
        low, high = self.place(start), self.place(end)
        if high - low <= FEW or level == 0:
            if high > low:
                parts.append(self.rows[low:high])
            return
        size = _FAN_OUT**level
        first, last = -(-start // size), end // size
        if first >= last:
            self._cover(start, end, level - 1, parts)
            return
        self._cover(start, first * size, level - 1, parts)
        for tile in range(first, last):
            low, high = self.place(tile * size), self.place((tile + 1) * size)
            if high - low > FEW:
                parts.append((level, tile))
            elif high > low:
                parts.append(self.rows[low:high])
        self._cover(last * size, end, level - 1, parts)

    def _tile(self, aggregation: Aggregation, place: int, name: tuple[int, int]) -> Any:  # noqa: ANN401
        made = self.tiles.setdefault(name, {})
        if (aggregation, place) not in made:
            level, tile = name
            size = _FAN_OUT**level
            parts = self._parts(tile * size, size)
            made[aggregation, place] = self.state(aggregation, place, parts)
        return made[aggregation, place]

    def _parts(self, start: int, size: int) -> list[Part]:
        """The parts of a tile: its eight tiles, or its rows where they are few."""
        parts: list[Part] = []
        step = size // _FAN_OUT
        if step == 0:
            return [self.rows[self.place(start) : self.place(start + size)]]
        for at in range(start, start + size, step):
            low, high = self.place(at), self.place(at + step)
            if high - low > FEW:
                parts.append((_level(step), at // step))
            elif high > low:
                parts.append(self.rows[low:high])
        return parts


def _level(size: int) -> int:
    """The level of tiles of ``size`` microseconds."""
    return (size.bit_length() - 1) // 3
