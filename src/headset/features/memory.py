"""The online store in this process's memory: rebuilt from the log, or from a snapshot and what came after it."""

from __future__ import annotations

import threading
import time
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from headset.core.errors import InvalidInput
from headset.features.fact import Fact
from headset.features.fold import decoded, inputs_of
from headset.features.incremental import AT_ONCE, HOUR_US, ViewState
from headset.features.reading import ServiceReading, ServiceReadings
from headset.features.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from headset.features.definition import FeatureService, FeatureView
    from headset.features.store import FeatureRequest, FeatureRow

_FORMAT = 1

_Row = tuple[int, bytes, tuple[Any, ...]]


class _View(Struct, array_like=True):
    """What is kept of one view version; each piece is MessagePack of some keys."""

    position: int
    newest: int
    trails: list[bytes]
    rows: list[bytes]


class _Snapshot(Struct, array_like=True):
    format: int
    views: dict[str, _View]


class _Live(ViewState):
    """A live view version, and how far it has been folded."""

    position = 0

    def __init__(self, view: FeatureView, grace_us: int) -> None:
        super().__init__(view, grace_us)
        self.version = view.version


class MemoryStore:
    """See :class:`~headset.features.store.OnlineStore`. Its clock is the newest ``append_time`` it was told.

    Args:
        grace_us: How far behind the newest fact reads may look, microseconds.

    >>> from headset.features.aggregation import Count
    >>> from headset.features.definition import Feature, FeatureService, FeatureView
    >>> from headset.features.store import FeatureRequest
    >>> turns = Feature(name="turns", aggregation=Count(), window="conversation")
    >>> view = FeatureView(
    ...     name="pace", entity="conversation", event="TurnReceived", features=(turns,), owner="", description=""
    ... )
    >>> service = FeatureService(name="risk", views=(view,), owner="", description="")
    >>> store = MemoryStore()
    >>> store.install([view])
    >>> fact = Fact("TurnReceived", bytes(16), 5, 7, 1, {"conversation": "c-1"}, {})
    >>> store.write([fact], position=1, versions=[view.version])
    >>> store.read(service, [FeatureRequest({"conversation": "c-1"}, as_of=5)])
    [FeatureRow(values={'pace.turns': 1}, unknown=(), position=1, problem='')]
    """

    def __init__(self, *, grace_us: int = HOUR_US) -> None:
        self._grace = grace_us
        self._live: dict[str, _Live] = {}
        self._readings = ServiceReadings()
        self._turn = threading.Lock()

    def install(self, views: Sequence[FeatureView]) -> None:
        """See :meth:`OnlineStore.install <headset.features.store.OnlineStore.install>`."""
        with self._turn:
            self._live = {view.version: self._live.get(view.version) or _Live(view, self._grace) for view in views}

    def positions(self) -> dict[str, int]:
        """See :meth:`OnlineStore.positions <headset.features.store.OnlineStore.positions>`."""
        with self._turn:
            return {version: live.position for version, live in self._live.items()}

    def write(self, facts: Sequence[Fact], position: int, versions: Collection[str]) -> None:
        """See :meth:`OnlineStore.write <headset.features.store.OnlineStore.write>`. Reads go on between facts."""
        written = self._named(versions)
        for fact in facts:
            with self._turn:
                for live in written:
                    if fact.offset > live.position:
                        self._update(live, fact)
                        live.position = fact.offset
        with self._turn:
            for live in written:
                live.position = max(live.position, position)

    def rewrite(self, facts: Sequence[Fact], versions: Collection[str]) -> None:
        """See :meth:`OnlineStore.rewrite <headset.features.store.OnlineStore.rewrite>`."""
        written = self._named(versions)
        for fact in facts:
            with self._turn:
                for live in written:
                    if fact.offset <= live.position:
                        live.update(fact, anew=True)
        with self._turn:
            self._readings = ServiceReadings()  # it remembers values

    def read(self, service: FeatureService, requests: Sequence[FeatureRequest]) -> list[FeatureRow]:
        """See :meth:`OnlineStore.read <headset.features.store.OnlineStore.read>`."""
        with self._turn:
            reading = self._readings.of(service)
        return [self._read(reading, request) for request in requests]

    def expire(self, now: int) -> None:
        """See :meth:`OnlineStore.expire <headset.features.store.OnlineStore.expire>`."""
        with self._turn:
            lives = list(self._live.values())
        for live in lives:
            steps = live.expiring(now)
            while True:
                with self._turn:
                    if next(steps, None) is None:
                        break
                _let_others()

    def snapshot(self) -> bytes:
        """See :meth:`OnlineStore.snapshot <headset.features.store.OnlineStore.snapshot>`.

        What is written while it is made may be in it or not, beyond its position: folding that again makes no
        difference.
        """
        with self._turn:
            views = {version: (live, _View(live.position, live.newest, [], [])) for version, live in self._live.items()}
        for live, view in views.values():
            # The trails first: rows of what a trail holds must be there, for it will not be folded again.
            view.trails.extend(self._pieces(live.fold.trails, lambda trail: [one[2] for one in trail.facts]))
            view.rows.extend(self._pieces(live.keys, lambda rows: rows.rows))
        return msgspec.msgpack.encode(_Snapshot(_FORMAT, {version: view for version, (_, view) in views.items()}))

    def restore(self, content: bytes) -> None:
        """See :meth:`OnlineStore.restore <headset.features.store.OnlineStore.restore>`."""
        snapshot = decoded(content, _Snapshot)
        if snapshot.format != _FORMAT:
            raise InvalidInput("content", f"has format {snapshot.format}, not {_FORMAT}; fold the log again")
        with self._turn:
            restored = {
                version: _restored(live.fold.view, self._grace, snapshot.views[version])
                for version, live in self._live.items()
                if version in snapshot.views
            }
            self._live |= restored

    def close(self) -> None:
        """See :meth:`OnlineStore.close <headset.features.store.OnlineStore.close>`."""

    def _update(self, live: _Live, fact: Fact) -> None:
        """Fold a fact in, and find what it changes for those that were read lately: decisions then need not wait."""
        for key in live.update(fact):
            if key in live.keys:
                self._readings.warm(live.version, key, live.keys[key])

    def _named(self, versions: Collection[str]) -> list[_Live]:
        with self._turn:
            return [self._live[version] for version in versions if version in self._live]

    def _read(self, reading: ServiceReading, request: FeatureRequest) -> FeatureRow:
        with self._turn:
            problem = reading.missing(self._live)
            if problem:
                return reading.defaults(problem)
            lives = [self._live[version] for _, _, version, _ in reading.views]
            problem = reading.apart([live.position for live in lives])
            if problem:
                return reading.defaults(problem)
            rows = [
                live.keys.get(request.keys.get(entity, ""))
                for live, (_, entity, _, _) in zip(lives, reading.views, strict=True)
            ]
            return reading.read(request, rows, lives[0].position, max(live.oldest for live in lives))

    def _pieces(self, of: Mapping[str, Any], content: Callable[[Any], object]) -> Iterator[bytes]:
        with self._turn:
            keys = iter(list(of))
        while names := list(islice(keys, AT_ONCE)):
            with self._turn:
                piece = msgspec.msgpack.encode([(name, content(of[name])) for name in names if name in of])
            yield piece
            _let_others()


def _let_others() -> None:
    """Let a thread that waits for the lock have it; a thread that takes it again at once would get it first."""
    time.sleep(0)


def _restored(view: FeatureView, grace_us: int, stored: _View) -> _Live:
    live, width = _Live(view, grace_us), len(inputs_of(view))
    live.position, live.newest = stored.position, stored.newest
    for piece in stored.trails:
        for _, facts in decoded(piece, list[tuple[str, list[Fact]]]):
            live.fold.restore(facts)
    for piece in stored.rows:
        for key, rows in decoded(piece, list[tuple[str, list[_Row]]]):
            if not all(len(values) == width for _, _, values in rows):
                raise InvalidInput("content", f"holds other rows than view {view.name!r} has; fold the log again")
            live.keys[key] = Rows(rows)
    return live
