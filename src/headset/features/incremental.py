"""Incremental execution: facts are folded one by one into memory, in any order, and features read at once.

What is kept of a key is one row per fact, sorted by event time and id, and nothing else: so a value is exact for its
window to the microsecond, a fact told twice is recognised, and one that comes late takes its place. Rows that no
read can reach any more are dropped.

A read merges tiles: sums over aligned spans of 8ⁿ µs, made when first read, forgotten when a fact falls into them.
A window of n rows is covered by some 14 log₈ n tiles and a few rows at its edges, so the time of a read grows with
the logarithm of the rows in the window, that of an update hardly at all, and neither with history.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct, structs

from headset.core.errors import InvalidInput, NotFound
from headset.features.aggregation import VectorMean
from headset.features.expression import LOOKBACK_US
from headset.features.fact import Fact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from headset.features.aggregation import Aggregation, Row
    from headset.features.definition import Feature, FeatureView

HOUR_US = 3_600_000_000
_FORMAT = 1
_FEW = 32  # rows are folded directly up to this number
_FAN_OUT = 8
_LEVELS = 16  # 8**16 us are nine years
_SECOND_US = 1_000_000


class _Stored(Struct, array_like=True):
    """The whole state, as bytes."""

    format: int
    newest: int
    rows: dict[str, dict[str, list[tuple[int, bytes, tuple[Any, ...]]]]]
    facts: dict[str, dict[str, list[Fact]]]


class _Rows:
    """The rows of one key of one view, by event time and id; and tiles made of them."""

    __slots__ = ("rows", "tiles")

    def __init__(self, rows: list[Row] | None = None) -> None:
        self.rows: list[Row] = [] if rows is None else rows
        self.tiles: dict[tuple[int, int], dict[tuple[Aggregation, int], Any]] = {}

    def put(self, time: int, event_id: bytes, values: tuple[Any, ...] | None) -> None:
        """Keep ``values`` as those of the event, or drop its row where they are None."""
        place = bisect_left(self.rows, (time, event_id))
        if place < len(self.rows) and self.rows[place][:2] == (time, event_id):
            if self.rows[place][2] == values:
                return
            del self.rows[place]
        elif values is None:
            return
        if values is not None:
            self.rows.insert(place, (time, event_id, values))
        for level in range(_LEVELS) if self.tiles else ():
            self.tiles.pop((level, time // _FAN_OUT**level), None)

    def drop(self, until: int) -> None:
        """Forget rows up to ``until``, once they are half of all, so that a row is moved once on average."""
        rows = self.rows
        if rows and rows[len(rows) // 2][0] <= until:
            del rows[: self.place(until + 1)]
            self.tiles = {
                (level, tile): made for (level, tile), made in self.tiles.items() if tile * _FAN_OUT**level > until
            }

    def place(self, time: int) -> int:
        """How many rows are before ``time``."""
        return bisect_left(self.rows, (time,))

    def cover(self, start: int, end: int) -> list[tuple[int, int] | slice]:
        """Tiles and slices of rows that hold each row with ``start <= time < end`` once."""
        parts: list[tuple[int, int] | slice] = []
        self._cover(start, end, _level(end - start), parts)
        return parts

    def state(self, aggregation: Aggregation, place: int, parts: Sequence[tuple[int, int] | slice]) -> Any:  # noqa: ANN401
        """The state of the values at ``place`` in ``parts``; None where there are none."""
        states = [
            aggregation.fold(self.rows[part], place)
            if isinstance(part, slice)
            else self._tile(aggregation, place, part)
            for part in parts
        ]
        known = [state for state in states if state is not None]
        return aggregation.merge(known) if len(known) > 1 else known[0] if known else None

    def _cover(self, start: int, end: int, level: int, parts: list[tuple[int, int] | slice]) -> None:
        low, high = self.place(start), self.place(end)
        if high - low <= _FEW or level == 0:
            if high > low:
                parts.append(slice(low, high))
            return
        size = _FAN_OUT**level
        first, last = -(-start // size), end // size
        if first >= last:
            self._cover(start, end, level - 1, parts)
            return
        self._cover(start, first * size, level - 1, parts)
        for tile in range(first, last):
            low, high = self.place(tile * size), self.place((tile + 1) * size)
            if high - low > _FEW:
                parts.append((level, tile))
            elif high > low:
                parts.append(slice(low, high))
        self._cover(last * size, end, level - 1, parts)

    def _tile(self, aggregation: Aggregation, place: int, name: tuple[int, int]) -> Any:  # noqa: ANN401
        made = self.tiles.setdefault(name, {})
        if (aggregation, place) not in made:
            level, tile = name
            size = _FAN_OUT**level
            parts = self._parts(tile * size, size)
            made[aggregation, place] = self.state(aggregation, place, parts)
        return made[aggregation, place]

    def _parts(self, start: int, size: int) -> list[tuple[int, int] | slice]:
        """The parts of a tile: its eight tiles, or its rows where they are few."""
        parts: list[tuple[int, int] | slice] = []
        step = size // _FAN_OUT
        if step == 0:
            return [slice(self.place(start), self.place(start + size))]
        for at in range(start, start + size, step):
            low, high = self.place(at), self.place(at + step)
            if high - low > _FEW:
                parts.append((_level(step), at // step))
            elif high > low:
                parts.append(slice(low, high))
        return parts


class _Trail:
    """The facts of one conversation that ``seconds_since`` looks at, by event time and id."""

    __slots__ = ("facts", "marks")

    def __init__(self, markers: int) -> None:
        self.facts: list[tuple[int, bytes, Fact]] = []
        self.marks: list[list[tuple[int, bytes]]] = [[] for _ in range(markers)]

    def drop(self, until: int) -> None:
        """Forget what happened up to ``until``."""
        if self.facts and self.facts[0][0] <= until:
            del self.facts[: bisect_left(self.facts, (until + 1,))]
            for marks in self.marks:
                del marks[: bisect_left(marks, (until + 1,))]


class _Plan:
    """A view made ready: what to do with a fact, and how to read."""

    def __init__(self, view: FeatureView) -> None:
        self.view = view
        self.version = view.version
        self.horizon = view.horizon_us
        inputs = view.inputs
        self.inputs = [expression.compile() for expression in inputs]
        self.filter = None if view.filter is None else view.filter.compile()
        self.markers = [(marker.event, marker.where.compile(), marker.name) for marker in view.markers]
        self.columns = view.columns
        self.reads: dict[int, list[tuple[Feature, int]]] = {}
        for feature in view.features:
            place = inputs.index(feature.input(view.event))
            self.reads.setdefault(feature.window_us, []).append((feature, place))
        self.nothing = {feature.name: feature.of_nothing for feature in view.features}
        self.keys: dict[str, _Rows] = {}
        self.trails: dict[str, _Trail] = {}

    def values(self, columns: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The inputs' values; None for a fact that does not count."""
        if self.filter is not None and self.filter(columns) is not True:
            return None
        return tuple([of(columns) for of in self.inputs])


class Incremental:
    """Feature values in memory. For one thread, or under a lock of the caller's.

    The newest ``append_time`` folded is its clock. A read is exact for each moment from ``grace_us`` before it on;
    what only older moments could see is forgotten.

    Args:
        views: What to compute.
        grace_us: How far back reads may look; rows are kept so much longer than their windows.

    >>> from headset.features.aggregation import Count
    >>> from headset.features.definition import Feature, FeatureView
    >>> turns = Feature(name="turns", aggregation=Count(), window="conversation")
    >>> view = FeatureView(
    ...     name="pace", entity="conversation", event="TurnReceived", features=(turns,), owner="", description=""
    ... )
    >>> store = Incremental([view])
    >>> store.update(Fact("TurnReceived", bytes(16), 5, 7, 1, {"conversation": "c-1"}, {}))
    >>> store.read("pace", "c-1", as_of=4), store.read("pace", "c-1", as_of=5)
    ({'turns': 0}, {'turns': 1})
    """

    def __init__(self, views: Iterable[FeatureView], *, grace_us: int = HOUR_US) -> None:
        self._grace = grace_us
        self._newest = 0
        self._plans = {view.name: _Plan(view) for view in views}
        self._listening: dict[str, list[_Plan]] = {}
        for plan in self._plans.values():
            for event in {plan.view.event, *(event for event, _, _ in plan.markers)}:
                self._listening.setdefault(event, []).append(plan)

    def update(self, fact: Fact) -> None:
        """Fold one fact in; again or out of order makes no difference."""
        self._newest = max(self._newest, fact.append_time)
        for plan in self._listening.get(fact.event, ()):
            if plan.markers and "conversation" in fact.keys:
                for one, columns in self._follow(plan, fact):
                    self._put(plan, one, columns)
            elif fact.event == plan.view.event:
                self._put(plan, fact, fact.columns)

    def read(self, view: str, key: str, as_of: int) -> dict[str, Any]:
        """The values of all features of ``view`` for ``key`` at the moment ``as_of``, microseconds.

        A key without facts has the features' defaults. Vectors are float32 arrays.

        Raises:
            NotFound: there is no such view.
            InvalidInput: ``as_of`` is longer ago than memory reaches.
        """
        plan = self._plans.get(view)
        if plan is None:
            raise NotFound("view", f"{view!r} is none of {', '.join(self._plans)}")
        if as_of < self._newest - self._grace:
            raise InvalidInput(
                "as_of",
                f"is {(self._newest - as_of) / _SECOND_US:.0f} s before the newest fact; memory reaches back "
                f"{self._grace // _SECOND_US} s, ask the history for older moments",
            )
        values: dict[str, Any] = dict(plan.nothing)
        rows = plan.keys.get(key)
        for window, features in plan.reads.items():
            parts = rows.cover(as_of - window + 1, as_of + 1) if rows is not None else []
            for feature, place in features:
                aggregation = feature.aggregation
                state = None if rows is None else rows.state(aggregation, place, parts)
                if state is not None:
                    values[feature.name] = aggregation.value(state)
                elif isinstance(aggregation, VectorMean):
                    values[feature.name] = np.zeros(aggregation.size, np.float32)
        return values

    def knows(self, view: str, key: str) -> bool:
        """Whether anything is kept of ``key``; if not, a read gives defaults."""
        return view in self._plans and key in self._plans[view].keys

    def expire(self, now: int) -> int:
        """Forget all that no read from ``now - grace_us`` on can reach, also of keys that have gone quiet.

        Returns:
            The number of keys forgotten altogether.
        """
        self._newest = max(self._newest, now)
        forgotten = 0
        for plan in self._plans.values():
            until, before = self._limit(plan), len(plan.keys)
            plan.keys = {key: rows for key, rows in plan.keys.items() if rows.rows[-1][0] > until}
            plan.trails = {key: trail for key, trail in plan.trails.items() if trail.facts[-1][0] > until - LOOKBACK_US}
            forgotten += before - len(plan.keys)
        return forgotten

    def store(self) -> bytes:
        """The whole state, for :meth:`restore`."""
        plans = self._plans.values()
        return msgspec.msgpack.encode(
            _Stored(
                _FORMAT,
                self._newest,
                {plan.version: {key: kept.rows for key, kept in plan.keys.items()} for plan in plans},
                {
                    plan.version: {key: [one[2] for one in kept.facts] for key, kept in plan.trails.items()}
                    for plan in plans
                },
            )
        )

    def restore(self, content: bytes) -> set[str]:
        """Take the state up that :meth:`store` gave; it replaces that of each view it holds in the same version.

        Returns:
            The names of those views; the others have to be folded from the log.

        Raises:
            InvalidInput: ``content`` is no such state.
        """
        try:
            stored = msgspec.msgpack.decode(content, type=_Stored)
        except msgspec.DecodeError as error:
            raise InvalidInput("content", f"is no stored state ({error}); fold the log again") from error
        if stored.format != _FORMAT:
            raise InvalidInput("content", f"has format {stored.format}, not {_FORMAT}; fold the log again")
        self._newest = max(self._newest, stored.newest)
        restored = [plan for plan in self._plans.values() if plan.version in stored.rows]
        for plan in restored:
            plan.keys = {key: _Rows(rows) for key, rows in stored.rows[plan.version].items()}
            plan.trails = {}
            for facts in stored.facts[plan.version].values():
                for fact in facts:
                    for _ in self._follow(plan, fact):
                        pass
        return {plan.view.name for plan in restored}

    def _limit(self, plan: _Plan) -> int:
        """The newest moment that no read can reach."""
        return self._newest - self._grace - plan.horizon

    def _put(self, plan: _Plan, fact: Fact, columns: Mapping[str, Any]) -> None:
        key = fact.keys.get(plan.view.entity)
        limit = self._limit(plan)
        if key is None or fact.event_time <= limit:
            return
        values = plan.values(columns)
        rows = plan.keys.get(key)
        if rows is None:
            if values is None:
                return
            rows = plan.keys[key] = _Rows()
        rows.put(fact.event_time, fact.event_id, values)
        rows.drop(limit)
        if not rows.rows:
            del plan.keys[key]

    def _follow(self, plan: _Plan, fact: Fact) -> Iterator[tuple[Fact, Mapping[str, Any]]]:
        """Put ``fact`` into its conversation; the facts that now have other columns than before, itself first."""
        limit = self._limit(plan) - LOOKBACK_US
        time, event_id = entry = fact.event_time, fact.event_id
        if time <= limit:
            return
        trail = plan.trails.setdefault(fact.keys["conversation"], _Trail(len(plan.markers)))
        place = bisect_left(trail.facts, entry)
        if place < len(trail.facts) and trail.facts[place][:2] == entry:
            return
        used = {name: value for name, value in fact.columns.items() if name in plan.columns}
        trail.facts.insert(place, (time, event_id, structs.replace(fact, columns=used)))
        end = place + 1
        for (event, where, _), marks in zip(plan.markers, trail.marks, strict=True):
            if fact.event == event and where(fact.columns) is True:
                insort(marks, entry)
                following = bisect_left(marks, entry) + 1
                # A mark is the previous one of all up to the next, that one included.
                until = marks[following] if following < len(marks) else trail.facts[-1][:2]
                end = max(end, bisect_left(trail.facts, until) + 1)
        for _, _, one in trail.facts[place:end]:
            if one.event == plan.view.event:
                yield one, {**one.columns, **dict(self._since(plan, trail, one))}
        trail.drop(limit)

    @staticmethod
    def _since(plan: _Plan, trail: _Trail, fact: Fact) -> Iterator[tuple[str, float]]:
        for (_, _, name), marks in zip(plan.markers, trail.marks, strict=True):
            before = bisect_left(marks, (fact.event_time, fact.event_id))
            if before and fact.event_time - marks[before - 1][0] <= LOOKBACK_US:
                yield name, (fact.event_time - marks[before - 1][0]) / _SECOND_US


def _level(size: int) -> int:
    """The level of tiles of ``size`` microseconds."""
    return (size.bit_length() - 1) // 3
