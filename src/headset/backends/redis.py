"""The online store in Redis (7.0 or newer, or Valkey), shared by any number of processes that fold the same log.

Under the store's prefix Redis holds

* ``PREFIX:VERSION:KEY``, a stream for each view version and key. An entry is a row that came, changed or went: its
  field is the event's id, its value MessagePack of time and values. Its id begins with the log offset of the fact
  that caused it, so a stream is in the log's order and the same whoever writes it, however often.
* ``PREFIX/positions``, a hash: how far each version has been folded, its clock, and an epoch that changes when
  something was taken away.
* ``PREFIX/state``, a stream of one entry: the same for readers.
* ``PREFIX/clock``, a sorted set: where the log stood, hour by hour. Streams are trimmed by it.

A write is a script, so rows and positions change together. What is from before a version's position is in it already
and is passed over: of several writers the first counts, and no position moves back. A read is one ``XREAD`` of the
state and of what is new in each stream; rows read before are kept here. An entry lives as long as a read can reach
it and a day more, counted from when it was recorded.

Redis must not evict keys (``maxmemory-policy noeviction``), and is one server with or without replicas, no cluster.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict, deque
from contextlib import contextmanager, suppress
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Struct
from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionInterface, ConnectionPool
from redis.exceptions import RedisError
from redis.retry import Retry

from headset.backends import redis_script
from headset.backends.redis_script import Progress, State
from headset.core.clock import SystemClock
from headset.core.errors import InvalidInput, StorageFailed
from headset.features.fact import Fact
from headset.features.fold import Change, Fold, decoded
from headset.features.incremental import HOUR_US
from headset.features.reading import ServiceReading, ServiceReadings
from headset.features.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from headset.core.clock import Clock
    from headset.features.definition import FeatureService, FeatureView
    from headset.features.store import FeatureRequest, FeatureRow

_FORMAT = 1
_DAY_US = 86_400_000_000
_WRITE_TIMEOUT_S = 10.0
_ATTEMPTS = 3
_START = b"0-0"


class _View(Struct, array_like=True):
    """What a writer keeps of one version."""

    folded: int
    sent: int
    newest: int
    trails: list[list[Fact]]
    unsent: list[tuple[int, Change]]


class _Snapshot(Struct, array_like=True):
    format: int
    views: dict[str, _View]


class _Live:
    """A live view version, as this process writes it.

    Attributes:
        fold: Turns facts into changes.
        kept_us: How long rows are kept.
        folded: How far this process has folded.
        sent: How far Redis has it, as far as is known here; None before it was asked.
        newest: The newest ``append_time`` folded.
        unsent: Changes, with their offsets, that Redis has not taken yet.
    """

    def __init__(self, view: FeatureView, grace_us: int) -> None:
        self.view = view
        self.fold = Fold(view)
        self.kept_us = view.horizon_us + grace_us
        self.folded = 0
        self.sent: int | None = None
        self.newest = 0
        self.unsent: list[tuple[int, Change]] = []

    def found(self, position: int, newest: int) -> int:
        """Take note of where Redis stands; the offset after which to go on folding."""
        if position < (self.sent or 0):  # it lost what it held
            self.fold, self.folded, self.unsent = Fold(self.view), 0, []
        self.sent = position
        self.newest = max(self.newest, newest)
        if not self.view.markers:
            self.folded = max(self.folded, position)
        return min(position, self.folded)

    def update(self, facts: Sequence[Fact], position: int) -> None:
        """Fold what has not been folded yet."""
        for fact in facts:
            if fact.offset > self.folded:
                self.newest = max(self.newest, fact.append_time)
                changes = self.fold.changes(fact, self.newest - self.kept_us)
                self.unsent += [(fact.offset, change) for change in changes]
        self.folded = max(self.folded, position)
        self.unsent = [one for one in self.unsent if one[0] > (self.sent or 0)]

    def rewrite(self, facts: Sequence[Fact]) -> list[Change]:
        """What facts folded before change, told anew."""
        known = (fact for fact in facts if fact.offset <= self.folded)
        limit = self.newest - self.kept_us
        changes = [change for fact in known for change in self.fold.changes(fact, limit, anew=True)]
        anew = {(change.key, change.event_id) for change in changes}
        self.unsent = [one for one in self.unsent if (one[1].key, one[1].event_id) not in anew]
        return changes


class _Kept(Struct):
    """What a reader keeps of one version and key: its rows, and the id of the last entry it has seen."""

    rows: Rows
    last: bytes


class RedisStore:
    """See :class:`~headset.features.store.OnlineStore`.

    A read that Redis does not answer in time gives defaults, and so do all reads after it for ``retry_after_s``.

    Args:
        url: ``redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]``, or ``rediss://`` for TLS.
        prefix: What the names of all keys begin with; one per log.
        clock: For the time until it asks again.
        timeout_s: How long a read waits.
        retry_after_s: How long it does without a Redis that did not answer.
        grace_us: How far behind the newest fact reads may look, microseconds.
        cached_rows: How many rows to keep for reads.
        fills: Whether this process folds the log into it; one that only reads deletes nothing.

    Raises:
        InvalidInput: ``url`` is no such URL.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "headset",
        clock: Clock | None = None,
        timeout_s: float = 0.05,
        retry_after_s: float = 1.0,
        grace_us: int = HOUR_US,
        cached_rows: int = 100_000,
        fills: bool = True,
    ) -> None:
        self._clock = clock or SystemClock()
        self._prefix = prefix
        self._grace = grace_us
        self._retry_after = retry_after_s
        self._cached_rows = cached_rows
        self._fills = fills
        self._place, self._secret = _checked(url)
        self._reads = _pool(url, timeout_s)
        # The pool would ask each connection, before each read, whether something is left in it; here nothing ever is.
        self._idle: deque[ConnectionInterface] = deque()
        self._writes = Redis(connection_pool=_pool(url, _WRITE_TIMEOUT_S))
        self._write_script = self._writes.register_script(redis_script.WRITE)
        self._rewrite_script = self._writes.register_script(redis_script.REWRITE)
        self._drop_script = self._writes.register_script(redis_script.DROP)
        self._positions, self._state, self._marks = (
            f"{prefix}/{name}".encode() for name in ("positions", "state", "clock")
        )
        self._writing = threading.RLock()  # what `_live` and `_rewrites` hold
        self._live: dict[str, _Live] = {}
        self._rewrites: dict[tuple[str, str], dict[bytes, Change]] = {}
        self._reading = threading.Lock()  # all below
        self._readings = ServiceReadings()
        self._cache: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._cached = 0
        self._epoch = ""
        self._told: tuple[bytes, State] = b"", State("", {}, {})
        self._problem = ""
        self._retry_at = 0.0

    def install(self, views: Sequence[FeatureView]) -> None:
        """See :meth:`OnlineStore.install <headset.features.store.OnlineStore.install>`.

        Where Redis is away, what is dropped is deleted by the next :meth:`expire`.
        """
        with self._writing:
            self._live = {view.version: self._live.get(view.version) or _Live(view, self._grace) for view in views}
            if self._fills:
                with suppress(StorageFailed):
                    self._sweep()

    def positions(self) -> dict[str, int]:
        """See :meth:`OnlineStore.positions <headset.features.store.OnlineStore.positions>`.

        A process that folds ``seconds_since`` needs the conversations' trails: without a snapshot it stands at 0.
        One that only reads stands where Redis does.
        """
        with self._writing:
            state = self._asked()
            if not self._fills:
                return {version: state.positions.get(version, 0) for version in self._live}
            return {
                version: live.found(state.positions.get(version, 0), state.newest.get(version, 0))
                for version, live in self._live.items()
            }

    def write(self, facts: Sequence[Fact], position: int, versions: Collection[str]) -> None:
        """See :meth:`OnlineStore.write <headset.features.store.OnlineStore.write>`."""
        with self._writing:
            written = {version: self._live[version] for version in versions if version in self._live}
            if any(live.sent is None for live in written.values()):
                self.positions()
            for live in written.values():
                live.update(facts, position)
            hours = {fact.append_time // HOUR_US: fact for fact in facts}
            self._send(written, [(fact.append_time, fact.offset) for _, fact in sorted(hours.items())])

    def rewrite(self, facts: Sequence[Fact], versions: Collection[str]) -> None:
        """See :meth:`OnlineStore.rewrite <headset.features.store.OnlineStore.rewrite>`.

        What Redis does not take now goes with the next write.
        """
        with self._writing:
            for version in versions:
                live = self._live.get(version)
                if live is not None:
                    changes = live.rewrite(facts)
                    for change in changes:
                        self._rewrites.setdefault((version, change.key), {})[change.event_id] = change
            with self._reading:
                self._forget()
            self._send_rewrites()

    def read(self, service: FeatureService, requests: Sequence[FeatureRequest]) -> list[FeatureRow]:
        """See :meth:`OnlineStore.read <headset.features.store.OnlineStore.read>`."""
        with self._reading:
            reading = self._readings.of(service)
            problem = reading.missing(self._live) or self._waiting()
        if problem:
            return [reading.defaults(problem) for _ in requests]
        try:
            rows = self._read(reading, requests)
        except (RedisError, OSError, ValueError, msgspec.DecodeError) as error:
            problem = self._said(error)
            with self._reading:
                self._problem = problem
                self._retry_at = self._clock.monotonic() + self._retry_after
            self._hang_up()
            return [reading.defaults(problem) for _ in requests]
        with self._reading:
            self._problem = ""
        return rows

    def expire(self, now: int) -> None:
        """See :meth:`OnlineStore.expire <headset.features.store.OnlineStore.expire>`. Redis itself drops old rows."""
        if not self._fills:
            return
        with self._writing:
            self.positions()
            for live in self._live.values():
                live.newest = max(live.newest, now)
                live.fold.forget(live.newest - live.kept_us)
            self._send(self._live, [])
            self._sweep()

    def snapshot(self) -> bytes:
        """See :meth:`OnlineStore.snapshot <headset.features.store.OnlineStore.snapshot>`: the trails, not the rows."""
        with self._writing:
            views = {
                version: _View(
                    live.folded,
                    live.sent or 0,
                    live.newest,
                    [[one[2] for one in trail.facts] for trail in live.fold.trails.values()],
                    live.unsent,
                )
                for version, live in self._live.items()
            }
            return msgspec.msgpack.encode(_Snapshot(_FORMAT, views))

    def restore(self, content: bytes) -> None:
        """See :meth:`OnlineStore.restore <headset.features.store.OnlineStore.restore>`."""
        snapshot = decoded(content, _Snapshot)
        if snapshot.format != _FORMAT:
            raise InvalidInput("content", f"has format {snapshot.format}, not {_FORMAT}; fold the log again")
        with self._writing:
            for version, stored in snapshot.views.items():
                live = self._live.get(version)
                if live is not None:
                    live.fold = Fold(live.view)
                    for facts in stored.trails:
                        live.fold.restore(facts)
                    live.folded, live.sent, live.newest = stored.folded, stored.sent, stored.newest
                    live.unsent = stored.unsent

    def close(self) -> None:
        """See :meth:`OnlineStore.close <headset.features.store.OnlineStore.close>`."""
        self._hang_up()
        self._writes.close()

    # -- writing -------------------------------------------------------------------------------

    def _asked(self) -> State:
        with self._storage():
            held = self._writes.hgetall(self._positions)
            return redis_script.state({_text(name): _text(value) for name, value in held.items()})

    def _send(self, written: dict[str, _Live], marks: list[tuple[int, int]]) -> None:
        """Send what is unsent; ``marks`` are times and the offsets the log had reached by then."""
        self._send_rewrites()
        rows = [(offset, version, change) for version, live in written.items() for offset, change in live.unsent]
        rows.sort(key=itemgetter(0))
        for part, last in redis_script.parts(rows):
            versions = [
                Progress(
                    version,
                    live.sent or 0,
                    live.folded if last else min(live.folded, part[-1][0]),
                    live.newest,
                    live.kept_us + _DAY_US,
                )
                for version, live in written.items()
            ]
            streams, arguments = redis_script.write_arguments(marks if last else [], versions, part)
            keys = [self._positions, self._state, self._marks, *(self._stream(*one) for one in streams)]
            with self._storage():
                found: list[bytes] | None = self._write_script(keys, arguments)
            if found is None:
                raise StorageFailed(f"Redis at {self._place} has lost what it held; fold the log again")
            for live, sent in zip(written.values(), found, strict=True):
                live.sent = int(sent)
                live.unsent = [one for one in live.unsent if one[0] > live.sent]

    def _send_rewrites(self) -> None:
        for (version, key), changes in list(self._rewrites.items()):
            live = self._live.get(version)
            if live is not None:
                arguments = redis_script.rewrite_arguments(live.sent or 0, live.kept_us + _DAY_US, changes.values())
                with self._storage():
                    self._rewrite_script([self._positions, self._state, self._stream(version, key)], arguments)
            del self._rewrites[version, key]

    def _sweep(self) -> None:
        """Delete the versions that are not live; what is left of them if this fails expires."""
        dropped = self._asked().positions.keys() - self._live
        if not dropped:
            return
        with self._storage():
            self._drop_script([self._positions, self._state], list(dropped))
            for version in dropped:
                pattern = re.sub(r"([*?\[\]\\^])", r"\\\1", f"{self._prefix}:{version}:") + "*"
                names: list[bytes] = []
                for name in self._writes.scan_iter(match=pattern, count=1_000):
                    names.append(name)
                    if len(names) >= redis_script.AT_ONCE:
                        self._writes.unlink(*names)
                        names.clear()
                if names:
                    self._writes.unlink(*names)

    def _stream(self, version: str, key: str) -> bytes:
        return f"{self._prefix}:{version}:{key}".encode("utf-8", "surrogatepass")

    # -- reading -------------------------------------------------------------------------------

    def _read(self, reading: ServiceReading, requests: Sequence[FeatureRequest]) -> list[FeatureRow]:
        views = [(version, entity) for _, entity, version, _ in reading.views]
        wanted = [[(version, request.keys.get(entity, "")) for version, entity in views] for request in requests]
        pairs = list(dict.fromkeys(pair for row in wanted for pair in row if pair[1]))
        for attempt in range(_ATTEMPTS):
            with self._reading:
                epoch, kept = self._epoch, {} if attempt == _ATTEMPTS - 1 else self._cache
                seen = [kept[pair].last if pair in kept else _START for pair in pairs]
            told, entries = self._fetch(pairs, seen)
            with self._reading:
                state = self._known(told)
                if self._take(state, epoch, pairs, seen, entries):
                    found = self._rows(reading, requests, wanted, state)
                    self._evict()
                    return found
            # Another thread was quicker, or something was taken away.
        raise AssertionError

    def _fetch(self, pairs: list[tuple[str, str]], seen: list[bytes]) -> tuple[bytes, dict[bytes, Any]]:
        """One round trip: the state, and the entries of each stream after the one seen last."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._reads.make_connection()
        try:
            streams = [self._stream(*pair) for pair in pairs]
            connection.send_command(  # type: ignore[no-untyped-call]
                b"XREAD", b"STREAMS", self._state, *streams, _START, *seen
            )
            reply = connection.read_response(disable_decoding=True)
        except BaseException:
            connection.disconnect()  # type: ignore[no-untyped-call]
            raise
        self._idle.append(connection)
        entries = dict(reply or ())
        state = entries.pop(self._state, None)
        return b"" if state is None else state[-1][1][1], entries

    def _hang_up(self) -> None:
        while self._idle:
            self._idle.pop().disconnect()  # type: ignore[no-untyped-call]

    def _known(self, told: bytes) -> State:
        if told != self._told[0]:
            self._told = told, redis_script.published(told)
        return self._told[1]

    def _take(
        self, state: State, epoch: str, pairs: list[tuple[str, str]], seen: list[bytes], entries: dict[bytes, Any]
    ) -> bool:
        """Put what was read with what is kept; whether the two belong together."""
        if state.epoch != self._epoch:
            self._forget()
            self._epoch = state.epoch
        whole = epoch == state.epoch or all(last == _START for last in seen)
        for (version, key), last in zip(pairs, seen, strict=True) if whole else ():
            new = entries.get(self._stream(version, key), ())
            kept = self._cache.get((version, key))
            if last == _START:
                self._cached -= 0 if kept is None else len(kept.rows.rows)
                kept = self._cache[version, key] = _Kept(Rows(), _START)
            if kept is None or kept.last != last:
                whole = False
            else:
                self._cache.move_to_end((version, key))
                self._put(kept, version, new, state)
        return whole

    def _forget(self) -> None:
        """Let go of all rows and values."""
        self._cache.clear()
        self._cached = 0
        self._readings = ServiceReadings()

    def _put(self, kept: _Kept, version: str, new: Iterable[Any], state: State) -> None:
        live = self._live.get(version)
        before = len(kept.rows.rows)
        for entry_id, (event_id, content) in new:
            time, values = redis_script.row(content)
            kept.rows.put(time, event_id, values)
            kept.last = entry_id
        if live is not None:
            kept.rows.drop(state.newest.get(version, 0) - live.kept_us)
        self._cached += len(kept.rows.rows) - before

    def _rows(
        self,
        reading: ServiceReading,
        requests: Sequence[FeatureRequest],
        wanted: list[list[tuple[str, str]]],
        state: State,
    ) -> list[FeatureRow]:
        versions = [version for _, _, version, _ in reading.views]
        absent = [repr(name) for name, _, version, _ in reading.views if version not in state.positions]
        if absent:
            problem = f"Redis holds nothing of view {', '.join(absent)} yet; the worker fills it from the log"
        else:
            problem = reading.apart([state.positions[version] for version in versions])
        if problem:
            return [reading.defaults(problem) for _ in requests]
        position = state.positions[versions[0]]
        oldest = max(state.newest.get(version, 0) for version in versions) - self._grace
        found = []
        for request, row in zip(requests, wanted, strict=True):
            kept = [self._cache[pair].rows if pair in self._cache else None for pair in row]
            found.append(reading.read(request, kept, position, oldest))
        return found

    def _evict(self) -> None:
        while self._cache and (self._cached > self._cached_rows or len(self._cache) > self._cached_rows):
            _, kept = self._cache.popitem(last=False)
            self._cached -= len(kept.rows.rows)

    def _waiting(self) -> str:
        """The problem, while Redis is not asked again; the first to come after that time asks alone."""
        if self._problem:
            now = self._clock.monotonic()
            if now < self._retry_at:
                return self._problem
            self._retry_at = now + self._retry_after
        return ""

    def _said(self, error: Exception) -> str:
        said = str(error) or type(error).__name__
        for secret in self._secret:
            said = said.replace(secret, "…")
        return f"Redis at {self._place}: {said[:200]}; tried again every {self._retry_after:g} s"

    @contextmanager
    def _storage(self) -> Iterator[None]:
        """Gives the errors of Redis as ours."""
        try:
            yield
        except (RedisError, OSError, ValueError, msgspec.DecodeError) as error:
            raise StorageFailed(self._said(error)) from None


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()


def _checked(url: str) -> tuple[str, list[str]]:
    """Host and port of ``url``, and what of it is secret."""
    try:
        parts = urlsplit(url)
        place = f"{parts.hostname}:{parts.port or 6379}"
    except ValueError:
        raise _no_url() from None
    good = parts.scheme in {"redis", "rediss"} and parts.hostname and re.fullmatch(r"(/[0-9]{0,9})?", parts.path)
    if not good or "?" in url or "#" in url:
        raise _no_url()
    return place, [] if not parts.password else [parts.password, unquote(parts.password)]


def _no_url() -> InvalidInput:
    """Says nothing of the URL: it may hold a password, in whatever place."""
    return InvalidInput(
        "features.store",
        "is no URL of a Redis; write redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], or rediss:// for TLS, without a query "
        "or fragment, and ? and # of a password as %3F and %23",
    )


def _pool(url: str, timeout_s: float) -> ConnectionPool:
    try:
        return ConnectionPool.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
    except (TypeError, ValueError, RedisError):
        raise _no_url() from None
