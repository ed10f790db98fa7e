"""Time, handed in as an argument so that every run can be replayed."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

from headset.core.errors import InvalidInput

MICROSECONDS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(9999, 1, 1, tzinfo=UTC)  # a year short of what can be written, so that a deadline still fits


class Clock(Protocol):
    """Where a part gets its time from."""

    def now(self) -> int:
        """Wall-clock time in microseconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back; for deadlines and durations."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        """See :meth:`Clock.now`."""
        return time.time_ns() // 1_000

    def monotonic(self) -> float:
        """See :meth:`Clock.monotonic`."""
        return time.monotonic()


class ManualClock:
    """A clock that moves only when told to.

    >>> clock = ManualClock(start_us=1_000_000)
    >>> clock.advance(1.5)
    >>> clock.now()
    2500000
    """

    def __init__(self, start_us: int = 0) -> None:
        self._now = start_us

    def advance(self, seconds: float) -> None:
        """Move both times forward by ``seconds``."""
        self._now += round(seconds * MICROSECONDS)

    def now(self) -> int:
        """See :meth:`Clock.now`."""
        return self._now

    def monotonic(self) -> float:
        """See :meth:`Clock.monotonic`."""
        return self._now / MICROSECONDS


def iso(moment_us: int) -> str:
    """Microseconds since the epoch as ISO 8601 (RFC 3339) in UTC.

    >>> iso(1_700_000_000_123_456)
    '2023-11-14T22:13:20.123456Z'
    """
    whole, fraction = divmod(moment_us, MICROSECONDS)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:06d}Z"


def parse_iso(text: str, *, field: str) -> int:
    """Read an ISO 8601 time with a zone as microseconds since the epoch.

    Raises:
        InvalidInput: the text is no such time, names no zone, or lies outside the years 1970 to 9998 in UTC.

    >>> parse_iso("2023-11-14T22:13:20.123456+00:00", field="event_time")
    1700000000123456
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(field, f"{text[:40]!r} is not an ISO 8601 time; send e.g. {iso(0)!r}") from None
    if moment.tzinfo is None:
        raise InvalidInput(field, f"{text[:40]!r} names no time zone; add 'Z' or an offset")
    if not _EPOCH <= moment < _END:
        raise InvalidInput(field, f"{text[:40]!r} lies outside the years 1970 to 9998 (UTC); send e.g. {iso(0)!r}")
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * MICROSECONDS + since.microseconds
