"""The scripts that Redis runs for the online store, what they are told and what they tell.

:mod:`headset.backends.redis` says what Redis holds.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Struct

from headset.features.fold import Change

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

AT_ONCE = 1_000
"""Rows of one script."""

_PUBLISH = """
local function publish()
  redis.call('XADD', KEYS[2], 'MAXLEN', '1', '*', 's', cmsgpack.pack(redis.call('HGETALL', KEYS[1])))
end
local function renew()
  local now = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'epoch', now[1] .. '.' .. now[2] .. '.' .. redis.call('HINCRBY', KEYS[1], 'epochs', 1))
end
"""

WRITE = (
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

REWRITE = (
    _PUBLISH
    + """
-- KEYS: positions, state, stream. ARGV: offset and milliseconds to live of what is new; of each row its event id and
-- content, empty where it goes. The stream is made anew, since Redis keeps what XDEL deletes. What is new comes last,
-- also where another writer is further on.
local new, order = {}, {}
for row = 3, #ARGV, 2 do
  new[ARGV[row]] = ARGV[row + 1]
  order[#order + 1] = ARGV[row]
end
local left, ttl = redis.call('XRANGE', KEYS[3], '-', '+'), redis.call('PTTL', KEYS[3])
if ttl <= 0 then ttl = ARGV[2] end
local entries, changed, offset = {}, false, ARGV[1]
for _, entry in ipairs(left) do
  local field, content = entry[2][1], entry[2][2]
  if new[field] then
    changed = changed or content ~= new[field]
    content, new[field] = new[field], ''
  end
  if content ~= '' then entries[#entries + 1] = {entry[1], field, content} end
  local at = string.match(entry[1], '^%d+')
  if tonumber(at) > tonumber(offset) then offset = at end
end
for _, field in ipairs(order) do
  if new[field] ~= '' then
    changed = true
    entries[#entries + 1] = {offset .. '-*', field, new[field]}
  end
end
if not changed then return end
renew()
redis.call('UNLINK', KEYS[3])
for _, entry in ipairs(entries) do redis.call('XADD', KEYS[3], entry[1], entry[2], entry[3]) end
redis.call('PEXPIRE', KEYS[3], ttl)
publish()
"""
)

DROP = (
    _PUBLISH
    + """
-- KEYS: positions, state. ARGV: names of versions.
for _, name in ipairs(ARGV) do redis.call('HDEL', KEYS[1], name .. ':position', name .. ':newest') end
renew()
publish()
"""
)

Row = tuple[int, str, Change]
"""Offset, version and change."""

_Content = tuple[int, tuple[Any, ...] | None]
_content: msgspec.msgpack.Decoder[_Content] = msgspec.msgpack.Decoder(_Content)
_flat = msgspec.msgpack.Decoder(list[str])


class Progress(NamedTuple):
    """What a write says of a version.

    Attributes:
        version: Its name.
        sent: The offset it must have reached in Redis.
        reached: The one it reaches by this write.
        newest: Its clock, microseconds.
        kept_us: How long its rows are kept.
    """

    version: str
    sent: int
    reached: int
    newest: int
    kept_us: int


class State(Struct):
    """What is known of the whole.

    Attributes:
        epoch: It changes when something was taken away.
        positions: By version, how far it has been folded; a version of which Redis holds nothing is not there.
        newest: By version, its clock, microseconds.
    """

    epoch: str
    positions: dict[str, int]
    newest: dict[str, int]


def parts(rows: list[Row]) -> Iterator[tuple[list[Row], bool]]:
    """``rows`` in parts for one script each, those of one offset together; and whether it is the last part."""
    start = 0
    while len(rows) - start > AT_ONCE:
        end = start + AT_ONCE
        while end < len(rows) and rows[end][0] == rows[end - 1][0]:
            end += 1
        if end == len(rows):
            break
        yield rows[start:end], False
        start = end
    yield rows[start:], True


def write_arguments(
    marks: Sequence[tuple[int, int]], versions: Sequence[Progress], rows: Iterable[Row]
) -> tuple[list[tuple[str, str]], list[Any]]:
    """What :data:`WRITE` is told: version and key of each stream, and the arguments.

    Args:
        marks: Times, and the offsets the log had reached by then.
        versions: The versions that are written.
        rows: What changes in them.
    """
    streams: dict[tuple[str, str], int] = {}
    numbers = {one.version: number for number, one in enumerate(versions, 1)}
    arguments: list[Any] = [len(marks), *chain.from_iterable(marks), len(versions), *chain.from_iterable(versions)]
    for offset, version, change in rows:
        stream = streams.setdefault((version, change.key), len(streams) + 4)
        arguments += (stream, numbers[version], offset, change.event_id, _packed(change))
    return list(streams), arguments


def rewrite_arguments(offset: int, kept_us: int, changes: Iterable[Change]) -> list[Any]:
    """What :data:`REWRITE` is told of a stream.

    Args:
        offset: That of what is new.
        kept_us: How long it is kept.
        changes: What changes.
    """
    arguments: list[Any] = [max(1, offset), kept_us // 1_000]
    for change in changes:
        arguments += (change.event_id, _packed(change) if change.values is not None else b"")
    return arguments


def row(content: bytes) -> tuple[int, tuple[Any, ...] | None]:
    """Time and values of an entry; no values where the row goes."""
    return _content.decode(content)


def published(content: bytes) -> State:
    """The state that the scripts publish; that of an empty Redis where there is none."""
    flat = iter(_flat.decode(content) if content else ())
    return state(dict(zip(flat, flat, strict=True)))


def state(held: Mapping[str, str]) -> State:
    """The state, from the hash of positions."""
    found = State(held.get("epoch", ""), {}, {})
    for name, value in held.items():
        version, _, what = name.rpartition(":")
        if what == "position":
            found.positions[version] = int(value)
        elif what == "newest":
            found.newest[version] = int(value)
    return found


def _packed(change: Change) -> bytes:
    return msgspec.msgpack.encode((change.time, change.values))
