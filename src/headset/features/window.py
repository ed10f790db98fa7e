"""Windows and other durations, as people write them."""

from __future__ import annotations

import re

from headset.core.errors import InvalidInput

CONVERSATION_US = 90 * 86_400_000_000
"""The window ``conversation``: what was said in it in the last 90 days."""

LONGEST_US = 400 * 86_400_000_000

_UNITS_US = {"s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_DURATION = re.compile(r"([1-9][0-9]{0,6}) ?(s|min|h|d)")


def duration(field: str, text: str) -> int:
    """Microseconds of a duration such as ``30 s``, ``15 min``, ``1 h`` or ``7 d``.

    Raises:
        InvalidInput: ``text`` is no such duration, or longer than 400 days; it names ``field``.

    >>> duration("window", "1 h")
    3600000000
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise InvalidInput(field, f"{text!r} is no duration; write a whole number and s, min, h or d: 15 min")
    length = int(found[1]) * _UNITS_US[found[2]]
    if length > LONGEST_US:
        raise InvalidInput(field, f"{text!r} is too long; the longest is 400 d")
    return length
