"""Identifiers: time-ordered for new things, content-derived for things that may arrive twice."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from random import Random

    from headset.core.clock import Clock

_VARIANT = 0b10 << 62


class Ids:
    """Maker of UUIDv7 identifiers (RFC 9562, section 5.7) that increase strictly within a process.

    The 12 bits after the millisecond count the identifiers made within it; when the count
    overflows, or the clock steps back, the last millisecond is carried on.

    >>> from random import Random
    >>> from headset.core.clock import ManualClock
    >>> ids = Ids(ManualClock(1_700_000_000_000_000), Random(7))
    >>> first, second = ids.new(), ids.new()
    >>> first < second, first.version
    (True, 7)
    """

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()
        self._last = 0

    def new(self) -> UUID:
        """A fresh identifier, greater than all before it."""
        with self._lock:
            self._last = max(self._last + 1, self._clock.now() // 1_000 << 12)
            milliseconds, count = self._last >> 12, self._last & 0xFFF
            tail = self._random.getrandbits(62)
        return UUID(int=milliseconds << 80 | 0x7000 << 64 | count << 64 | _VARIANT | tail)


def stable_id(*parts: str) -> UUID:
    """A UUIDv8 (RFC 9562, section 5.8) from the SHA-256 of ``parts``: same parts, same identifier.

    >>> stable_id("bank", "row 1") == stable_id("bank", "row 1")
    True
    >>> stable_id("a", "bc") == stable_id("ab", "c")
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    value = int.from_bytes(digest.digest()[:16], "big")
    value = value & ~(0xF000 << 64) | 0x8000 << 64
    return UUID(int=value & ~(0b11 << 62) | _VARIANT)
