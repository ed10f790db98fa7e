"""Incremental execution: facts are folded one by one into memory, in any order, and features read at once.

What a fact changes is in :mod:`headset.features.fold`, what is kept of a key in :mod:`headset.features.rows`, how
values are read from it in :mod:`headset.features.reading`. Rows that no read can reach any more are dropped.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from headset.core.errors import InvalidInput, NotFound
from headset.features.fold import Fold
from headset.features.reading import Reading
from headset.features.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from headset.features.definition import FeatureView
    from headset.features.fact import Fact

HOUR_US = 3_600_000_000
AT_ONCE = 100
"""Keys of one step; whoever waits for it waits no longer than these take."""

_SECOND_US = 1_000_000


class ViewState:
    """The rows of all keys of one view. For one thread, or under a lock of the caller's.

    Args:
        view: The view.
        grace_us: How far back reads may look; rows are kept so much longer than their windows.

    Attributes:
        fold: Turns facts into changes of rows.
        keys: The rows, by key; no key without rows.
        newest: The newest ``append_time`` folded, microseconds: its clock.
    """

    def __init__(self, view: FeatureView, grace_us: int) -> None:
        self.fold = Fold(view)
        self.keys: dict[str, Rows] = {}
        self.newest = 0
        self._grace = grace_us
        self._kept = grace_us + view.horizon_us

    @property
    def oldest(self) -> int:
        """The oldest moment that can be read."""
        return self.newest - self._grace

    def update(self, fact: Fact, *, anew: bool = False) -> set[str]:
        """Fold one fact in; again or out of order makes no difference. ``anew``: it may have said something else.

        Returns:
            The keys whose rows it concerns.
        """
        self.newest = max(self.newest, fact.append_time)
        limit, concerned = self.newest - self._kept, set()
        for key, time, event_id, values in self.fold.changes(fact, limit, anew=anew):
            rows = self.keys.get(key)
            if rows is None:
                if values is None:
                    continue
                rows = self.keys[key] = Rows()
            rows.put(time, event_id, values)
            rows.drop(limit)
            concerned.add(key)
            if not rows.rows:
                del self.keys[key]
        return concerned

    def expire(self, now: int) -> int:
        """Forget what no read from ``now`` less the grace on can reach; the number of keys forgotten altogether."""
        return sum(self.expiring(now))

    def expiring(self, now: int) -> Iterator[int]:
        """:meth:`expire` in steps of some keys; between them the view may be read and updated."""
        self.newest = max(self.newest, now)
        until = self.newest - self._kept
        keys, conversations = iter(list(self.keys)), iter(list(self.fold.trails))
        while some := list(islice(keys, AT_ONCE)):
            quiet = [key for key in some if key in self.keys and self.keys[key].rows[-1][0] <= until]
            for key in quiet:
                del self.keys[key]
            yield len(quiet)
        while some := list(islice(conversations, AT_ONCE)):
            self.fold.forget(until, some)
            yield 0


class Incremental:
    """Feature values in memory. For one thread, or under a lock of the caller's.

    The newest ``append_time`` folded is its clock. A read is exact for each moment from ``grace_us`` before it on;
    what only older moments could see is forgotten.

    Args:
        views: What to compute.
        grace_us: How far back reads may look; rows are kept so much longer than their windows.

    >>> from headset.features.aggregation import Count
    >>> from headset.features.definition import Feature, FeatureView
    >>> from headset.features.fact import Fact
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
        self._states: dict[str, ViewState] = {}
        self._readings: dict[str, Reading] = {}
        for view in views:
            self._states[view.name] = ViewState(view, grace_us)
            self._readings[view.name] = Reading(view)

    def update(self, fact: Fact) -> None:
        """Fold one fact in; again or out of order makes no difference."""
        for state in self._states.values():
            state.update(fact)

    def read(self, view: str, key: str, as_of: int) -> dict[str, Any]:
        """The values of all features of ``view`` for ``key`` at the moment ``as_of``, microseconds.

        A key without facts has the features' defaults. Vectors are float32 arrays, not to be written to.

        Raises:
            NotFound: there is no such view.
            InvalidInput: ``as_of`` is longer ago than memory reaches.
        """
        state = self._states.get(view)
        if state is None:
            raise NotFound("view", f"{view!r} is none of {', '.join(self._states)}")
        if as_of < state.oldest:
            raise InvalidInput(
                "as_of",
                f"is {(state.newest - as_of) / _SECOND_US:.0f} s before the newest fact; memory reaches back "
                f"{self._grace // _SECOND_US} s, ask the history for older moments",
            )
        reading, rows = self._readings[view], state.keys.get(key)
        values = None if rows is None else reading.read(key, rows, as_of)
        return dict(zip(reading.names, reading.nothing if values is None else values, strict=True))

    def knows(self, view: str, key: str) -> bool:
        """Whether anything is kept of ``key``; if not, a read gives defaults."""
        return view in self._states and key in self._states[view].keys

    def expire(self, now: int) -> int:
        """Forget all that no read from ``now - grace_us`` on can reach, also of keys that have gone quiet.

        Returns:
            The number of keys forgotten altogether.
        """
        return sum(state.expire(now) for state in self._states.values())
