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
from itertools import chain
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
_AT_ONCE = 1_000  # rows of one script
_WRITE_TIMEOUT_S = 10.0
_ATTEMPTS = 3
_START = b"0-0"

_PUBLISH = """
local function publish()
  redis.call('XADD', KEYS[2], 'MAXLEN', '1', '*', 's', cmsgpack.pack(redis.call('HGETALL', KEYS[1])))
end
local function renew()
  local now = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'epoch', now[1] .. '.' .. now[2] .. '.' .. redis.call('HINCRBY', KEYS[1], 'epochs', 1))
end
"""

_WRITE = (
    _PUBLISH
    + """
-- KEYS: positions, state, clock, streams. ARGV: number of marks, of each its time and offset; number of versions, of
-- each its name, the position it must have reached, the new one, its clock and how long its rows are kept; of each
-- row the numbers of its stream and version, its offset, event id and content.
local views = 2 + 2 * tonumber(ARGV[1])
local rows = views + 1 + 5 * tonumber(ARGV[views])
local reached, positions, trims, lives = {}, {}, {}, {}
for view = views + 1, rows - 1, 5 do
  local held = redis.call('HGET', KEYS[1], ARGV[view] .. ':position') or '0'
  if tonumber(held) < tonumber(ARGV[view + 1]) then return false end
  reached[#reached + 1] = held
end
if redis.call('HEXISTS', KEYS[1], 'epoch') == 0 then renew() end
local last = tonumber(redis.call('ZRANGE', KEYS[3], '-1', '-1', 'WITHSCORES')[2] or '0')
for mark = 2, views - 1, 2 do
  if tonumber(ARGV[mark]) >= last + 3600e6 then
    last = tonumber(ARGV[mark])
    redis.call('ZADD', KEYS[3], ARGV[mark], ARGV[mark + 1])
    redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', last - 500 * 86400e6))
  end
end
for view = views + 1, rows - 1, 5 do
  local name, position, newest, kept = ARGV[view], ARGV[view + 2], ARGV[view + 3], tonumber(ARGV[view + 4])
  local place = #positions + 1
  positions[place] = reached[place]
  if tonumber(position) > tonumber(reached[place]) then
    positions[place] = position
    redis.call('HSET', KEYS[1], name .. ':position', position)
  end
  if tonumber(newest) > tonumber(redis.call('HGET', KEYS[1], name .. ':newest') or '0') then
    redis.call('HSET', KEYS[1], name .. ':newest', newest)
  end
  local limit = string.format('%.0f', tonumber(newest) - kept)
  local old = redis.call('ZREVRANGEBYSCORE', KEYS[3], limit, '-inf', 'LIMIT', '0', '1')[1] or '-1'
  trims[place] = string.format('%.0f', tonumber(old) + 1)
  lives[place] = string.format('%.0f', math.ceil(kept / 1000))
end
for row = rows, #ARGV, 5 do
  local key, view, offset = KEYS[tonumber(ARGV[row])], tonumber(ARGV[row + 1]), ARGV[row + 2]
  if tonumber(offset) > tonumber(reached[view]) then
    local id, field, content = offset .. '-*', ARGV[row + 3], ARGV[row + 4]
    local added = redis.pcall('XADD', key, 'MINID', '=', trims[view], id, field, content)
    if type(added) == 'table' and added.err then -- entries from after the position: of a state that was lost
      local known = redis.call('XRANGE', key, '-', reached[view])
      redis.call('UNLINK', key)
      for _, entry in ipairs(known) do redis.call('XADD', key, entry[1], entry[2][1], entry[2][2]) end
      redis.call('XADD', key, id, field, content)
    end
    redis.call('PEXPIRE', key, lives[view])
  end
end
publish()
return positions
"""
)

_REWRITE = (
    _PUBLISH
    + """
-- KEYS: positions, state, stream. ARGV: offset and milliseconds to live of what is new; of each row its event id and
-- content, empty where it goes. The stream is made anew, since Redis keeps what XDEL deletes.
local new, order, kept = {}, {}, {}
for row = 3, #ARGV, 2 do
  new[ARGV[row]] = ARGV[row + 1]
  order[#order + 1] = ARGV[row]
end
local left, ttl = redis.call('XRANGE', KEYS[3], '-', '+'), redis.call('PTTL', KEYS[3])
redis.call('UNLINK', KEYS[3])
for _, entry in ipairs(left) do
  local field, content = entry[2][1], entry[2][2]
  if new[field] then content, new[field] = new[field], '' end
  if not (content == '') then redis.call('XADD', KEYS[3], entry[1], field, content) end
end
for _, field in ipairs(order) do
  if new[field] ~= '' then redis.call('XADD', KEYS[3], ARGV[1] .. '-*', field, new[field]) end
end
if ttl <= 0 then ttl = ARGV[2] end
redis.call('PEXPIRE', KEYS[3], ttl)
renew()
publish()
"""
)

_DROP = (
    _PUBLISH
    + """
-- KEYS: positions, state. ARGV: names of versions.
for _, name in ipairs(ARGV) do redis.call('HDEL', KEYS[1], name .. ':position', name .. ':newest') end
renew()
publish()
"""
)

_Row = tuple[int, str, Change]
"""Offset, version and change."""

_Content = tuple[int, tuple[Any, ...] | None]
_content = msgspec.msgpack.Decoder(_Content)
_flat = msgspec.msgpack.Decoder(list[str])


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


class _State(Struct):
    """What readers know of the whole."""

    epoch: str
    positions: dict[str, int]
    newest: dict[str, int]


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
        self._write_script = self._writes.register_script(_WRITE)
        self._rewrite_script = self._writes.register_script(_REWRITE)
        self._drop_script = self._writes.register_script(_DROP)
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
        self._told: tuple[bytes, _State] = b"", _State("", {}, {})
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
        """
        with self._writing:
            state = self._asked()
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
            with self._reading:
                self._problem = self._said(error)
                self._retry_at = self._clock.monotonic() + self._retry_after
            self._hang_up()
            return [reading.defaults(self._problem) for _ in requests]
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

    def _asked(self) -> _State:
        with self._storage():
            held = self._writes.hgetall(self._positions)
            return _state({_text(name): _text(value) for name, value in held.items()})

    def _send(self, written: dict[str, _Live], marks: list[tuple[int, int]]) -> None:
        """Send what is unsent; ``marks`` are times and the offsets the log had reached by then."""
        self._send_rewrites()
        names = list(written)
        rows = [(offset, view, change) for view, live in written.items() for offset, change in live.unsent]
        rows.sort(key=itemgetter(0))
        for part, last in _parts(rows):
            streams: dict[bytes, int] = {}
            noted = marks if last else []
            arguments: list[Any] = [len(noted), *chain.from_iterable(noted), len(written)]
            for version, live in written.items():
                reached = live.folded if last else min(live.folded, part[-1][0])
                arguments += (version, live.sent, reached, live.newest, live.kept_us + _DAY_US)
            for offset, view, change in part:
                place = streams.setdefault(self._stream(view, change.key), len(streams) + 4)
                arguments += (place, names.index(view) + 1, offset, change.event_id, _packed(change))
            keys = [self._positions, self._state, self._marks, *streams]
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
                arguments: list[Any] = [max(1, live.sent or 0), (live.kept_us + _DAY_US) // 1_000]
                for event_id, change in changes.items():
                    arguments += (event_id, _packed(change) if change.values is not None else b"")
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
                    if len(names) >= _AT_ONCE:
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

    def _known(self, told: bytes) -> _State:
        if told != self._told[0]:
            flat = iter(_flat.decode(told) if told else ())
            self._told = told, _state(dict(zip(flat, flat, strict=True)))
        return self._told[1]

    def _take(
        self, state: _State, epoch: str, pairs: list[tuple[str, str]], seen: list[bytes], entries: dict[bytes, Any]
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

    def _put(self, kept: _Kept, version: str, new: Iterable[Any], state: _State) -> None:
        live = self._live.get(version)
        before = len(kept.rows.rows)
        for entry_id, (event_id, content) in new:
            time, values = _content.decode(content)
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
        state: _State,
    ) -> list[FeatureRow]:
        versions = [version for _, _, version, _ in reading.views]
        position = min(state.positions.get(version, 0) for version in versions)
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


def _parts(rows: list[_Row]) -> Iterator[tuple[list[_Row], bool]]:
    """``rows`` in parts for one script each, those of one offset together; and whether it is the last part."""
    start = 0
    while len(rows) - start > _AT_ONCE:
        end = start + _AT_ONCE
        while end < len(rows) and rows[end][0] == rows[end - 1][0]:
            end += 1
        if end == len(rows):
            break
        yield rows[start:end], False
        start = end
    yield rows[start:], True


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()


def _packed(change: Change) -> bytes:
    return msgspec.msgpack.encode((change.time, change.values))


def _state(held: dict[str, str]) -> _State:
    state = _State(held.get("epoch", ""), {}, {})
    for name, value in held.items():
        version, _, what = name.rpartition(":")
        if what == "position":
            state.positions[version] = int(value)
        elif what == "newest":
            state.newest[version] = int(value)
    return state


def _checked(url: str) -> tuple[str, list[str]]:
    """Host and port of ``url``, and what of it is secret."""
    form = "write redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], or rediss:// for TLS"
    try:
        parts = urlsplit(url)
        place = f"{parts.hostname}:{parts.port or 6379}"
    except ValueError:
        raise InvalidInput("url", f"is no URL of a Redis; {form}") from None
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname or not re.fullmatch(r"/?\d*", parts.path):
        raise InvalidInput("url", f"is no URL of a Redis; {form}")
    return place, [] if not parts.password else [parts.password, unquote(parts.password)]


def _pool(url: str, timeout_s: float) -> ConnectionPool:
    return ConnectionPool.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
