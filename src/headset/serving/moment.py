"""Times that callers claim: believed within limits."""

from __future__ import annotations

from headset.core.clock import MICROSECONDS, iso, parse_iso
from headset.core.errors import InvalidInput


def claimed_time(claimed: str | None, now: int, *, ahead_s: float, earliest: int) -> int:
    """The event time (microseconds) of something the caller says happened at ``claimed``.

    Args:
        claimed: ISO 8601, or None for now.
        now: The server's time in microseconds.
        ahead_s: Seconds the caller's clock may run ahead.
        earliest: Microseconds before which it cannot have happened.

    Raises:
        InvalidInput: the time is malformed, or outside the limits.

    >>> claimed_time(None, 5, ahead_s=1, earliest=0)
    5
    """
    if claimed is None:
        return now
    moment = parse_iso(claimed, field="event_time")
    if moment > now + ahead_s * MICROSECONDS:
        raise InvalidInput(
            "event_time", f"is {iso(moment)}, more than {ahead_s:g} s ahead of {iso(now)}; set the sender's clock"
        )
    if moment < earliest:
        raise InvalidInput(
            "event_time", f"is {iso(moment)}, the earliest here is {iso(earliest)}; import older history"
        )
    return moment
