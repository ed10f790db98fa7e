"""When a conversation ended badly: the one definition that training, evaluation and docs share.

It ended *unresolved* when the last resolution told of it is not ``resolved``, and *dissatisfied* when its rating is
below 3 of 5. The rating is the mean over those who rated the whole conversation, else the customer's csat. It ended
badly when it ended unresolved or dissatisfied, and well when at least one of the two is known and neither holds.
"""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING

from headset.events.schema import LabelRecorded, OutcomeRecorded

if TYPE_CHECKING:
    from headset.events.schema import Event, Resolution

DISSATISFIED_BELOW = 3.0
_WORST, _BEST = 1, 5


class Ending:
    """What is told of how one conversation ended, in any order; of two tellings the later in event time holds.

    Attributes:
        known_at: When something was first told, microseconds: from then on features could see it.

    >>> from uuid import UUID
    >>> from headset.events.schema import Event
    >>> def rating(value, rater):
    ...     told = LabelRecorded(kind="satisfaction", value=value, rater=rater)
    ...     return Event(event_id=UUID(int=0), event_time=5, subject="", source="", payload=told)
    >>> ending = Ending()
    >>> for value, rater in (("2", "1"), ("4", "2"), ("2", "3")):
    ...     ending.hear(rating(value, rater))
    >>> ending.rating, ending.is_bad
    (2.666..., True)
    """

    def __init__(self) -> None:
        self.known_at: int | None = None
        self._ratings: dict[str, tuple[int, float]] = {}
        self._resolution: tuple[int, Resolution] | None = None
        self._csat: tuple[int, float] | None = None

    def hear(self, event: Event) -> None:
        """Take in an event of the conversation; what says nothing of its end is passed over."""
        time = event.event_time
        match event.payload:
            case LabelRecorded(kind="satisfaction", turn_id=None, value=value, rater=rater):
                rating = _rating(value)
                if rating is None:
                    return
                self._ratings[rater or ""] = max(self._ratings.get(rater or "", (time, rating)), (time, rating))
            case OutcomeRecorded(resolution=resolution, csat=csat) if resolution is not None or csat is not None:
                if resolution is not None:
                    self._resolution = max(self._resolution or (time, resolution), (time, resolution))
                if csat is not None:
                    self._csat = max(self._csat or (time, csat), (time, csat))
            case _:
                return
        self.known_at = time if self.known_at is None else min(self.known_at, time)

    @property
    def rating(self) -> float | None:
        """Satisfaction with the whole conversation, 1 to 5."""
        if self._ratings:
            return fmean(value for _, value in self._ratings.values())
        return None if self._csat is None else self._csat[1]

    @property
    def is_bad(self) -> bool | None:
        """Whether it ended badly; None where nothing is known."""
        if self.known_at is None:
            return None
        unresolved = self._resolution is not None and self._resolution[1] != "resolved"
        return unresolved or (self.rating is not None and self.rating < DISSATISFIED_BELOW)


def _rating(value: str) -> float | None:
    try:
        rating = float(value)
    except ValueError:
        return None
    return rating if math.isfinite(rating) and _WORST <= rating <= _BEST else None
