"""What customers want within a period, counted by hour and intent."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from headset.twin.demand import HOUR_S, Demand

if TYPE_CHECKING:
    from collections.abc import Callable

    from headset.twin.catalogue import Catalogue
    from headset.twin.scenario import Scenario

DAY_H = 24
WEEK_H = 168


class DrawnDemand(Struct, frozen=True, eq=False):
    """What customers want within a period, by full hours of the clock; it covers only a part of the first and last.

    Attributes:
        start: The hour in which the period begins.
        intents: All that may occur.
        contacts: Drawn contacts, hours x intents.
        from_incidents: How many of them incidents made, per hour.
        expected: Expected contacts, per hour.
        exposure: The share of each hour that lies within the period.
    """

    start: datetime
    intents: tuple[str, ...]
    contacts: NDArray[np.int64]
    from_incidents: NDArray[np.int64]
    expected: NDArray[np.float64]
    exposure: NDArray[np.float64]

    @property
    def hours_of_week(self) -> NDArray[np.int64]:
        """Of each hour, 0 for the first on Monday."""
        first = self.start.weekday() * DAY_H + self.start.hour
        return (first + np.arange(len(self.expected))) % WEEK_H

    def bounds(self, step: int) -> NDArray[np.int64]:
        """Where steps of 1, 4, 24 or 168 hours begin, and the end: of 4 hours at 0:00, weeks on Monday."""
        begun = np.flatnonzero(self.hours_of_week % step == 0)
        return np.array([0, *begun[begun > 0], len(self.expected)])


def count_demand(
    scenario: Scenario,
    catalogue: Catalogue,
    *,
    seed: int,
    days: float,
    progress: Callable[[str, float], None] = lambda _phase, _fraction: None,
) -> DrawnDemand:
    """Draw a period hour by hour and keep the counts.

    These are the contacts that ``headset twin generate`` simulates with the same seed, without the customers who come
    back: how many do depends on how they are served.

    Args:
        scenario: Checked.
        catalogue: Its intents.
        seed: Equal seeds give equal counts.
        days: How many; may be a fraction.
        progress: Told the phase and the fraction done.
    """
    demand = Demand(scenario, catalogue, seed)
    start = scenario.start.replace(minute=0, second=0, microsecond=0)
    late_s = (scenario.start - start).total_seconds()
    late = late_s / HOUR_S
    length = days * DAY_H
    bins = math.ceil(late + length)
    named = (*catalogue.groups, *scenario.intents, *(each.intent for each in scenario.incidents))
    columns = {intent: column for column, intent in enumerate(dict.fromkeys(named))}
    contacts = np.zeros((bins, len(columns)), np.int64)
    from_incidents = np.zeros(bins, np.int64)
    expected, exposure = np.zeros(bins + 1), np.zeros(bins + 1)
    phase = f"drawing {scenario.name}"
    for number in range(math.ceil(length)):
        if number % DAY_H == 0:
            progress(phase, number / length)
        hour = demand.hour(number)
        rate = hour.contacts + sum(extra for _, extra in hour.incidents)
        before = min(1 - late, length - number)
        after = max(min(late, length - number - before), 0.0)
        for at, share in ((number, before), (number + 1, after)):
            expected[at] += rate * share
            exposure[at] += share
        for arrival in demand.arrivals(number):
            if arrival.time_s < length * HOUR_S:
                at = min(int((late_s + arrival.time_s) // HOUR_S), bins - 1)
                contacts[at, columns[arrival.intent]] += 1
                from_incidents[at] += arrival.incident is not None
    progress(phase, 1.0)
    return DrawnDemand(start, tuple(columns), contacts, from_incidents, expected[:bins], exposure[:bins])
