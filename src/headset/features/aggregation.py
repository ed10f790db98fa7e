# ruff: noqa: D102, ARG002, ANN401 - methods that override say what their base class says; each state has its own type
"""Aggregations: what becomes of the values in a window, written twice side by side.

In Python each is a commutative monoid: ``fold`` makes a state of some rows, ``merge`` joins states of disjoint rows
in any order, ``value`` reads the result. In DuckDB each is three layers of columns: of a fact, of a window, and the
result. Both give the same bits, because nothing depends on an order of additions:

* Numbers are added as whole multiples of 2⁻⁶⁰ (128 bits in DuckDB, unlimited in Python), and become a float once,
  at the end. So a sum is exact for values that are 0 or at least 2⁻⁸ in size, and off by less than 2⁻⁶⁰ a value else.
* Vectors are added as whole multiples of 2⁻³² in 64 bits, by numpy in both executions.
* What is neither exact nor bounded is defined coarser: see :class:`Quantile` and :class:`Distinct`.

Null is never aggregated.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from msgspec import Struct

from headset.core.errors import InvalidInput
from headset.features.expression import Constant, Expression, Sized, Tidy
from headset.features.fact import Kind
from headset.features.window import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Row = tuple[int, bytes, tuple[Any, ...]]
    """Event time, event id, and the value of each input of the view."""


MOST_DISTINCT = 1_000
MOST_HALF_LIVES = 16
_UNIT = 1 << 60
_STEPS = 256  # per half-life
_WEIGHTS = [round(2 ** (12 + step / _STEPS)) for step in range(_STEPS)]
_SPLIT = float(2**46 + 1)
_VECTOR_UNIT = float(1 << 32)


class Aggregation(Struct, frozen=True, tag=True):
    """What becomes of the values in a window."""

    takes: ClassVar[frozenset[Kind]] = frozenset({"number", "flag"})
    of_nothing: ClassVar[float | None] = None
    """The value of an empty window, where the definition leaves no choice."""

    def check(self, window_us: int) -> None:
        """Raise ``InvalidInput`` for parameters that make no sense."""

    def kind(self, kind: Kind) -> Kind:
        """What it gives for values of ``kind``."""
        return "number"

    def input(self, expression: Expression, kind: Kind) -> Expression:
        """``expression`` made fit to be aggregated."""
        return Tidy(expression)

    def fold(self, rows: Sequence[Row], place: int) -> Any:
        """The state of the values at ``place`` of ``rows``; None when there are none."""
        raise NotImplementedError

    def merge(self, states: Sequence[Any]) -> Any:
        """One state for several, at least one, none of them None; it leaves them as they are."""
        raise NotImplementedError

    def value(self, state: Any) -> Any:
        """The result."""
        raise NotImplementedError

    def per_fact(self, x: str) -> dict[str, str]:
        """Columns computed for each fact, from the input column ``x``; also ``event_time``, ``rank`` and ``key``."""
        return {x: x}

    def per_window(self, x: str, window: str, window_us: int) -> dict[str, str]:
        """Columns computed over the frame ``window``."""
        raise NotImplementedError

    def result(self, x: str, window: str, window_us: int) -> str:
        """The result, from the columns of the window."""
        raise NotImplementedError


class Count(Aggregation, frozen=True):
    """Facts, or those whose expression is not null."""

    takes = frozenset({"number", "flag", "word"})
    of_nothing = 0

    def input(self, expression: Expression, kind: Kind) -> Expression:
        return expression

    def fold(self, rows: Sequence[Row], place: int) -> int | None:
        return sum(row[2][place] is not None for row in rows) or None

    def merge(self, states: Sequence[int]) -> int:
        return sum(states)

    def value(self, state: int) -> int:
        return state

    def per_window(self, x: str, window: str, window_us: int) -> dict[str, str]:
        return {f"{x}_count_{window}": f"count({x}) OVER {window}"}

    def result(self, x: str, window: str, window_us: int) -> str:
        return f"{x}_count_{window}"


class Sum(Aggregation, frozen=True):
    """The sum."""

    of_nothing: ClassVar[float | None] = 0.0

    def fold(self, rows: Sequence[Row], place: int) -> tuple[int, int] | None:
        units = [int(value * _UNIT) for row in rows if (value := row[2][place]) is not None]
        return (len(units), sum(units)) if units else None

    def merge(self, states: Sequence[tuple[int, int]]) -> tuple[int, int]:
        number = units = 0
        for more, added in states:
            number += more
            units += added
        return number, units

    def value(self, state: tuple[int, int]) -> float:
        return _real(state[1])

    def per_fact(self, x: str) -> dict[str, str]:
        return {f"{x}_units": _units(x)}

    def per_window(self, x: str, window: str, window_us: int) -> dict[str, str]:
        return {
            f"{x}_number_{window}": f"count({x}_units) OVER {window}",
            f"{x}_sum_{window}": f"sum({x}_units) OVER {window}",
        }

    def result(self, x: str, window: str, window_us: int) -> str:
        return f"coalesce({_real_sql(f'{x}_sum_{window}')}, 0)"


class Mean(Sum, frozen=True):
    """The arithmetic mean."""

    of_nothing = None

    def value(self, state: tuple[int, int]) -> float:
        return _real(state[1]) / state[0]

    def result(self, x: str, window: str, window_us: int) -> str:
        return f"{_real_sql(f'{x}_sum_{window}')} / nullif({x}_number_{window}, 0)"


class Min(Aggregation, frozen=True):
    """The smallest value."""

    def fold(self, rows: Sequence[Row], place: int) -> float | None:
        return min((value for row in rows if (value := row[2][place]) is not None), default=None)

    def merge(self, states: Sequence[float]) -> float:
        return min(states)

    def value(self, state: float) -> float:
        return state

    def per_window(self, x: str, window: str, window_us: int) -> dict[str, str]:
        return {f"{x}_min_{window}": f"min({x}) OVER {window}"}

    def result(self, x: str, window: str, window_us: int) -> str:
        return f"{x}_min_{window}"


class Max(Aggregation, frozen=True):
    """The largest value."""

    def fold(self, rows: Sequence[Row], place: int) -> float | None:
        return max((value for row in rows if (value := row[2][place]) is not None), default=None)

    def merge(self, states: Sequence[float]) -> float:
        return max(states)

    def value(self, state: float) -> float:
        return state

    def per_window(self, x: str, window: str, window_us: int) -> dict[str, str]:
        return {f"{x}_max_{window}": f"max({x}) OVER {window}"}

    def result(self, x: str, window: str, window_us: int) -> str:
        return f"{x}_max_{window}"


class Last(Aggregation, frozen=True):
    """The newest value, by event time, then event id."""

    takes = frozenset({"number", "flag", "word"})

    def kind(self, kind: Kind) -> Kind:
        return kind

    def input(self, expression: Expression, kind: Kind) -> Expression:
        return Tidy(expression) if kind == "number" else expression

    def fold(self, rows: Sequence[Row], place: int) -> Row | None:
        return next((row_of(row, place) for row in reversed(rows) if row[2][place] is not None), None)

    def merge(self, states: Sequence[Row]) -> Row:
        return max(states)

    def value(self, state: Row) -> Any:
        return state[2][0]

    def per_window(self, x: str, window: str, window_us: int) -> dict[str, str]:
        return {f"{x}_last_{window}": f"last_value({x} IGNORE NULLS) OVER {window}"}

    def result(self, x: str, window: str, window_us: int) -> str:
        return f"{x}_last_{window}"


class First(Last, frozen=True):
    """The oldest value, by event time, then event id."""

    def fold(self, rows: Sequence[Row], place: int) -> Row | None:
        return next((row_of(row, place) for row in rows if row[2][place] is not None), None)

    def merge(self, states: Sequence[Row]) -> Row:
        return min(states)

    def per_window(self, x: str, window: str, window_us: int) -> dict[str, str]:
        return {f"{x}_first_{window}": f"first_value({x} IGNORE NULLS) OVER {window}"}

    def result(self, x: str, window: str, window_us: int) -> str:
        return f"{x}_first_{window}"


class Distinct(Aggregation, frozen=True):
    """How many different values; exact up to 1,000, and 1,000 for any more, so that its state stays small."""

    takes = frozenset({"number", "flag", "word"})
    of_nothing = 0

    def input(self, expression: Expression, kind: Kind) -> Expression:
        return Tidy(expression) if kind == "number" else expression

    def fold(self, rows: Sequence[Row], place: int) -> set[Any] | None:
        return self.merge([{value for row in rows if (value := row[2][place]) is not None}]) or None

    def merge(self, states: Sequence[set[Any]]) -> set[Any]:
        found = set().union(*states)
        return found if len(found) <= MOST_DISTINCT else set(islice(found, MOST_DISTINCT))

    def value(self, state: set[Any]) -> int:
        return len(state)

    def per_window(self, x: str, window: str, window_us: int) -> dict[str, str]:
        return {f"{x}_distinct_{window}": f"count(DISTINCT {x}) OVER {window}"}

    def result(self, x: str, window: str, window_us: int) -> str:
        return f"least({x}_distinct_{window}, {MOST_DISTINCT})"


class Quantile(Aggregation, frozen=True):
    """The value that a share ``q`` of the values does not exceed, after rounding them to 7 binary digits.

    The rank is exact (the ``ceil(q n)``-th smallest of n), the value within 0.4 %. A histogram of such values is
    small, and histograms of parts add up to that of the whole. Rounding: Veltkamp's splitting (Dekker, "A
    floating-point technique for extending the available precision", Numerische Mathematik 18, 1971).
    """

    q: float

    def check(self, window_us: int) -> None:
        if not 0 <= self.q <= 1:
            raise InvalidInput("q", f"is {self.q}; a share is 0 to 1")

    def fold(self, rows: Sequence[Row], place: int) -> dict[float, int] | None:
        found: dict[float, int] = {}
        for _, _, values in rows:
            if (value := values[place]) is not None:
                scaled = value * _SPLIT
                coarse = scaled - (scaled - value) + 0.0
                found[coarse] = found.get(coarse, 0) + 1
        return found or None

    def merge(self, states: Sequence[dict[float, int]]) -> dict[float, int]:
        found = dict(states[0])
        for state in states[1:]:
            for value, number in state.items():
                found[value] = found.get(value, 0) + number
        return found

    def value(self, state: dict[float, int]) -> float:
        number = sum(state.values())
        # ceil(q n), computed as DuckDB does.
        left = max(1, number - math.floor(number - self.q * number))
        for value in sorted(state):
            left -= state[value]
            if left <= 0:
                return value
        raise AssertionError

    def per_fact(self, x: str) -> dict[str, str]:
        scaled = f"({x} * '{_SPLIT}'::DOUBLE)"
        return {f"{x}_coarse": f"{scaled} - ({scaled} - {x}) + '0'::DOUBLE"}

    def per_window(self, x: str, window: str, window_us: int) -> dict[str, str]:
        return {self.result(x, window, window_us): f"quantile_disc({x}_coarse, {float(self.q)!r}) OVER {window}"}

    def result(self, x: str, window: str, window_us: int) -> str:
        return f"{x}_q{str(float(self.q)).translate({46: 95, 45: 95, 43: 95})}_{window}"


class Ewma(Aggregation, frozen=True):
    """The mean with weights that halve with every ``half_life`` of age, of event time.

    Weights are relative, so the mean does not change while nothing happens. A value at time t weighs
    ``2**(t // h) * weight[(t % h) * 256 // h]`` with ``weight[s] = round(2**(12 + s / 256))``: ages are told apart
    to the 256th of a half-life h, and the weights of one half-life are whole numbers. Sums over each half-life are
    exact; they are put together from the oldest to the newest as floats.
    """

    half_life: str

    @property
    def half_life_us(self) -> int:
        """Half-life, microseconds."""
        return _half_life_us(self.half_life)

    def check(self, window_us: int) -> None:
        longest = MOST_HALF_LIVES * self.half_life_us
        if window_us > longest:
            raise InvalidInput(
                "half_life",
                f"{self.half_life} is less than a {MOST_HALF_LIVES}th of the window; what is older hardly counts, so "
                f"take a window of at most {longest // 1_000_000} s",
            )

    def fold(self, rows: Sequence[Row], place: int) -> dict[int, tuple[int, int]] | None:
        half_life = self.half_life_us
        tiles: dict[int, tuple[int, int]] = {}
        for time, _, values in rows:
            if (value := values[place]) is not None:
                tile, age = divmod(time, half_life)
                weight = _WEIGHTS[age * _STEPS // half_life]
                total, weights = tiles.get(tile, (0, 0))
                tiles[tile] = total + int(value * _UNIT) * weight, weights + weight
        return tiles or None

    def merge(self, states: Sequence[dict[int, tuple[int, int]]]) -> dict[int, tuple[int, int]]:
        tiles = dict(states[0])
        for state in states[1:]:
            for tile, (more, weight) in state.items():
                total, weights = tiles.get(tile, (0, 0))
                tiles[tile] = total + more, weights + weight
        return tiles

    def value(self, state: dict[int, tuple[int, int]]) -> float:
        total = weights = 0.0
        for tile in range(min(state), max(state) + 1):
            more, weight = state.get(tile, (0, 0))
            total, weights = total * 0.5 + _real(more), weights * 0.5 + weight
        return total / weights

    def per_fact(self, x: str) -> dict[str, str]:
        h, name = self.half_life_us, self._name(x)
        weight = f"(({_WEIGHTS}::HUGEINT[])[(event_time % {h}) * {_STEPS} // {h} + 1])"
        return {
            f"{name}_tile": f"CASE WHEN {x} IS NOT NULL THEN event_time // {h} END",
            f"{name}_weight": f"CASE WHEN {x} IS NOT NULL THEN {weight} END",
            f"{name}_units": f"{_units(x)} * {weight}",
        }

    def per_window(self, x: str, window: str, window_us: int) -> dict[str, str]:
        name, tiles = self._name(x), self._tiles(window_us)

        def sums(of: str) -> str:
            each = (
                f"coalesce(sum({name}_{of}) FILTER (WHERE {name}_tile % {tiles} = {tile}) OVER {window}, 0)"
                for tile in range(tiles)
            )
            return f"[{', '.join(each)}]"

        return {
            f"{name}_tile_{window}": f"max({name}_tile) OVER {window}",
            f"{name}_units_{window}": sums("units"),
            f"{name}_weight_{window}": sums("weight"),
        }

    def result(self, x: str, window: str, window_us: int) -> str:
        name, tiles = self._name(x), self._tiles(window_us)
        total, weights = "'0'::DOUBLE", "'0'::DOUBLE"
        for back in reversed(range(tiles)):
            place = f"[({name}_tile_{window} + {tiles - back}) % {tiles} + 1]"
            total = f"({total} * '0.5'::DOUBLE + {_real_sql(f'{name}_units_{window}{place}')})"
            weights = f"({weights} * '0.5'::DOUBLE + {name}_weight_{window}{place}::BIGINT::DOUBLE)"
        return f"{total} / nullif({weights}, '0'::DOUBLE)"

    def _name(self, x: str) -> str:
        return f"{x}_ewma{self.half_life_us}"

    def _tiles(self, window_us: int) -> int:
        """How many half-lives a window can touch."""
        return -(-window_us // self.half_life_us) + 1


class VectorMean(Aggregation, frozen=True):
    """The mean of vectors, number by number: an array of float32, all zeros for an empty window.

    Attributes:
        size: Length of a vector; those of another length, from another encoder, are left out.
    """

    size: int

    takes = frozenset({"vector"})

    def check(self, window_us: int) -> None:
        if not 1 <= self.size <= 4_096:
            raise InvalidInput("size", f"is {self.size}; a vector has 1 to 4096 numbers")

    def kind(self, kind: Kind) -> Kind:
        return kind

    def input(self, expression: Expression, kind: Kind) -> Expression:
        return Sized(expression, self.size)

    def fold(self, rows: Sequence[Row], place: int) -> tuple[int, NDArray[np.int64]] | None:
        vectors = [value for row in rows if (value := row[2][place]) is not None]
        if not vectors:
            return None
        return len(vectors), np.add.reduce(vector_units(np.frombuffer(b"".join(vectors), "<f4").reshape(-1, self.size)))

    def merge(self, states: Sequence[tuple[int, NDArray[np.int64]]]) -> tuple[int, NDArray[np.int64]]:
        if len(states) == 1:
            return states[0]
        return sum(state[0] for state in states), np.add.reduce([state[1] for state in states])

    def value(self, state: tuple[int, NDArray[np.int64]]) -> NDArray[np.float32]:
        return vector_mean(state[1], state[0])

    def per_fact(self, x: str) -> dict[str, str]:
        """``x_place``: the vector's place, from 1, among all there are, by key and time."""
        known = f"{x} IS NOT NULL"
        return {f"{x}_place": f"CASE WHEN {known} THEN row_number() OVER (PARTITION BY {known} ORDER BY key, rank) END"}

    def per_window(self, x: str, window: str, window_us: int) -> dict[str, str]:
        return {
            f"{x}_end_{window}": f"max({x}_place) OVER {window}",
            f"{x}_vectors_{window}": f"count({x}_place) OVER {window}",
        }

    def result(self, x: str, window: str, window_us: int) -> str:
        """The places of the vectors in the window, ``[first - 1, last]``; numpy takes their mean."""
        end = f"coalesce({x}_end_{window}, 0)"
        return f"[{end} - {x}_vectors_{window}, {end}]"


if TYPE_CHECKING:
    AnyAggregation: TypeAlias = Aggregation
else:  # msgspec reads definitions back by the classes there are
    AnyAggregation = Count | Sum | Mean | Min | Max | Last | First | Distinct | Quantile | Ewma | VectorMean


@lru_cache
def _half_life_us(half_life: str) -> int:
    return duration("half_life", half_life)


EVERY_FACT = Constant(value=True)
"""The expression of a count of facts."""


def row_of(row: Row, place: int) -> Row:
    """``row`` with one of its values."""
    return row[0], row[1], (row[2][place],)


def vector_units(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """``vectors`` as whole multiples of 2⁻³²."""
    return np.rint(vectors.astype(np.float64) * _VECTOR_UNIT).astype(np.int64)


def vector_mean(total: NDArray[np.int64], number: int | NDArray[np.int64]) -> NDArray[np.float32]:
    """The mean of ``number`` vectors that add up to ``total`` units."""
    return (total / _VECTOR_UNIT / number).astype(np.float32)


def _real(units: int) -> float:
    """``units`` of 2⁻⁶⁰ as a float: the whole part and the rest, each rounded, then added."""
    size = abs(units)
    real = float(size >> 60) + float(size & (_UNIT - 1)) / _UNIT
    return -real if units < 0 else real


def _real_sql(units: str) -> str:
    """:func:`_real`; DuckDB's division and remainder are those of the absolute value, with its sign."""
    whole, rest = f"({units} // {_UNIT})::BIGINT::DOUBLE", f"({units} % {_UNIT})::BIGINT::DOUBLE"
    return f"({whole} + {rest} / '{float(_UNIT)}'::DOUBLE)"


def _units(x: str) -> str:
    return f"CAST(trunc({x} * '{float(_UNIT)}'::DOUBLE) AS HUGEINT)"
