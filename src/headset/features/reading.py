"""Reading: from rows of keys to the values of features, of one view and of a service."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from headset.features.aggregation import VectorMean
from headset.features.fold import inputs_of
from headset.features.rows import FEW, Rows
from headset.features.store import FeatureRow

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from numpy.typing import NDArray

    from headset.features.aggregation import Aggregation, Row
    from headset.features.definition import FeatureService, FeatureView
    from headset.features.rows import Part
    from headset.features.store import FeatureRequest

_REMEMBERED = 4_000  # keys, with some kilobytes each
_SERVICES = 100
_UNKNOWN: Any = object()
_ALL_TIME = 1 << 63
_SECOND_US = 1_000_000


class _Seen(Struct):
    """What the last read of a key found.

    Attributes:
        rows: The key's rows; ``length`` of them there were, reordered so often.
        since: The first moment at which the values are the same,
        until: and the last one.
        high: How many rows were up to the moment of the read.
        states: States of the rows from a place to ``high``, by that place.
    """

    rows: Rows
    reordered: int
    length: int
    since: int
    until: int
    high: int
    states: dict[int, list[Any]]
    values: list[Any] | None


class Reading:
    """Reads a view's features from a key's rows.

    Values stay what they are until a row comes, enters a window or leaves one, and the states of a window grow by the
    rows that are added at its end. So what was found is remembered of the keys read lately.

    Args:
        view: The view.
        only: Names of the features to read; all unless given.

    Attributes:
        names: The features, in the order of the values.
        nothing: The values where nothing is known.
    """

    def __init__(self, view: FeatureView, only: Collection[str] | None = None) -> None:
        inputs = inputs_of(view)
        features = [feature for feature in view.features if only is None or feature.name in only]
        self.names = [feature.name for feature in features]
        self.nothing: list[Any] = [
            _fixed(np.zeros(feature.aggregation.size, np.float32))
            if isinstance(feature.aggregation, VectorMean)
            else feature.of_nothing
            for feature in features
        ]
        self._vectors = [at for at, value in enumerate(self.nothing) if isinstance(value, np.ndarray)]
        # Features whose states are the same, such as a sum and a mean, share them.
        self._states: list[tuple[Aggregation, int]] = []
        numbers: dict[tuple[Any, ...], int] = {}
        windows: dict[int, list[tuple[int, Aggregation, int]]] = {view.horizon_us: []}
        for at, feature in enumerate(features):
            aggregation, place = feature.aggregation, inputs.index(feature.input(view.event))
            parameters = [getattr(aggregation, name) for name in aggregation.__struct_fields__]
            number = numbers.setdefault((type(aggregation).fold, *parameters, place), len(numbers))
            if number == len(self._states):
                self._states.append((aggregation, place))
            windows.setdefault(feature.window_us, []).append((at, aggregation, number))
        self._windows = sorted(windows.items(), reverse=True)
        self._seen: dict[str, _Seen] = {}

    def read(self, key: str, rows: Rows, as_of: int) -> list[Any] | None:
        """The values at ``as_of``, not to be written to; None where no row is in reach of the view's windows."""
        seen = self._seen.get(key)
        if seen is None:
            if len(self._seen) >= _REMEMBERED:
                del self._seen[next(iter(self._seen))]
        elif seen.rows is not rows or seen.reordered != rows.reordered:
            seen = None
        elif seen.length == len(rows.rows) and seen.since <= as_of <= seen.until:
            return seen.values
        seen = self._seen[key] = self._read(rows, as_of, seen)
        if seen.values is not None:
            for at in self._vectors:
                _fixed(seen.values[at])
        return seen.values

    def warm(self, key: str, rows: Rows) -> None:
        """Find the values of now ahead of the next read, where the key was read lately."""
        if key in self._seen:
            self.read(key, rows, rows.rows[-1][0])

    def _read(self, rows: Rows, as_of: int, before: _Seen | None) -> _Seen:
        kept, first = rows.rows, -1
        high = len(kept) if kept and kept[-1][0] <= as_of else rows.place(as_of + 1)
        since = kept[high - 1][0] if high else -_ALL_TIME
        until = kept[high][0] - 1 if high < len(kept) else _ALL_TIME
        values: list[Any] | None = None
        found: dict[int, list[Any]] = {}
        states: list[Any] = []
        parts: list[Part] | None = None
        for window, features in self._windows:
            low = 0 if high and kept[0][0] > as_of - window else rows.place(as_of - window + 1)
            if low:
                since = max(since, kept[low - 1][0] + window)
            if low == high:
                break
            until = min(until, kept[low][0] + window - 1)
            if low != first:  # else it holds the rows of the window before
                first, parts = low, None
                states = found[low] = self._grown(before, low, kept, high)
            values = values or self.nothing.copy()
            for at, aggregation, number in features:
                state = states[number]
                if state is _UNKNOWN:
                    parts = parts or rows.cover(as_of - window + 1, as_of + 1)
                    state = states[number] = rows.state(*self._states[number], parts)
                if state is not None:
                    values[at] = aggregation.value(state)
        return _Seen(rows, rows.reordered, len(kept), since, until, high, found, values)

    def _grown(self, before: _Seen | None, low: int, kept: list[Row], high: int) -> list[Any]:
        """The states of the rows from ``low`` to ``high``, as far as they follow from those of the last read."""
        states = None if before is None else before.states.get(low)
        if states is None or before is None or not 0 <= high - before.high <= FEW:
            return [_UNKNOWN] * len(self._states)
        fresh = kept[before.high : high]
        if not fresh:
            return states
        grown: list[Any] = []
        for state, (aggregation, place) in zip(states, self._states, strict=True):
            more = None if state is _UNKNOWN else aggregation.fold(fresh, place)
            grown.append(state if more is None else more if state is None else aggregation.merge((state, more)))
        return grown


class ServiceReading:
    """Reads what a service takes, from rows that an engine has at hand.

    Args:
        service: The service.

    Attributes:
        views: Name, entity, version and reading of each of its views.
    """

    def __init__(self, service: FeatureService) -> None:
        self.views = [
            (view.name, view.entity, view.version, Reading(view, _taken(service, view))) for view in service.views
        ]
        flat = [f"{name}.{feature}" for name, _, _, reading in self.views for feature in reading.names]
        order = sorted(range(len(flat)), key=flat.__getitem__)
        self._names = [flat[place] for place in order]
        self._order: Callable[[list[Any]], tuple[Any, ...]] = itemgetter(*order) if len(order) > 1 else tuple
        self._nothing = [value for _, _, _, reading in self.views for value in reading.nothing]

    def read(self, request: FeatureRequest, rows: Sequence[Rows | None], position: int, oldest: int) -> FeatureRow:
        """The values ``request`` asks for.

        Args:
            request: What is asked for.
            rows: What is kept of its keys, by view.
            position: Goes into the result.
            oldest: The oldest moment that can be read.
        """
        as_of = request.as_of
        if as_of < oldest:
            return self.defaults(
                f"as_of is {(oldest - as_of) / _SECOND_US:.0f} s before what is kept; ask the history for older "
                "moments",
                position,
            )
        values: list[Any] = []
        unknown = []
        for (name, entity, _, reading), kept in zip(self.views, rows, strict=True):
            found = None if kept is None else reading.read(request.keys[entity], kept, as_of)
            if found is None:
                unknown.append(name)
                found = reading.nothing
            values += found
        return FeatureRow(dict(zip(self._names, self._order(values), strict=True)), tuple(unknown), position)

    def defaults(self, problem: str, position: int = 0) -> FeatureRow:
        """What is known without an engine."""
        values = dict(zip(self._names, self._order(self._nothing), strict=True))
        return FeatureRow(values, tuple(name for name, *_ in self.views), position, problem)

    def missing(self, live: Collection[str]) -> str:
        """The problem with views that are not among those live; empty if there is none."""
        gone = [f"{name} (version {version})" for name, _, version, _ in self.views if version not in live]
        return f"not live: {', '.join(gone)}; apply the definitions that the model was trained with" if gone else ""

    def apart(self, positions: Sequence[int]) -> str:
        """The problem with views that have heard of less of the log than others: no prefix of it gives their values.

        Args:
            positions: How far each view has been folded.

        Returns:
            The problem; empty if there is none.
        """
        furthest = max(positions)
        if min(positions) == furthest:
            return ""
        return "; ".join(
            f"view {name!r} is still being folded (offset {position} of {furthest})"
            for (name, *_), position in zip(self.views, positions, strict=True)
            if position < furthest
        )


class ServiceReadings:
    """The readings of services, each made once. For one thread, or under a lock of the caller's."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[FeatureService, ServiceReading]] = {}
        self._of_view: dict[str, list[Reading]] = {}

    def warm(self, version: str, key: str, rows: Rows) -> None:
        """Find ahead of the next read what services read of a view version's key; see :meth:`Reading.warm`."""
        for reading in self._of_view.get(version, ()):
            reading.warm(key, rows)

    def of(self, service: FeatureService) -> ServiceReading:
        """The reading of ``service``."""
        found = self._made.get(id(service))  # comparing definitions takes longer than reading them
        if found is None or found[0] is not service:
            if len(self._made) >= _SERVICES:
                self._made.clear()
                self._of_view.clear()
            found = self._made[id(service)] = service, ServiceReading(service)
            for _, _, version, reading in found[1].views:
                self._of_view.setdefault(version, []).append(reading)
        return found[1]


def _taken(service: FeatureService, view: FeatureView) -> set[str]:
    return {one.name for one in view.features if not service.only or f"{view.name}.{one.name}" in service.only}


def _fixed(array: NDArray[np.float32]) -> NDArray[np.float32]:
    array.flags.writeable = False
    return array
