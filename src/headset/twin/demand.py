"""Demand: when customers get in touch, and what about. A Poisson process whose rate changes with the calendar.

The ordinary rate is constant within an hour, so its arrivals are a Poisson number of uniform moments; those of an
incident are spread as its triangle is, by inverting the integrated rate (Çinlar 1975, Introduction to Stochastic
Processes, chapter 4). Each hour has randomness of its own: a year can be drawn from any day on.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from headset.twin.catalogue import THANKS
from headset.twin.scenario import Incident, Where
from headset.twin.wheel import Wheel

if TYPE_CHECKING:
    from headset.twin.catalogue import Catalogue
    from headset.twin.scenario import Change, Occasion, Scenario

HOUR_S = 3_600.0
_HOUR = timedelta(hours=1)
_DAY_H = 24
_RISE = 0.1


class Arrival(Struct, frozen=True):
    """A customer gets in touch.

    Attributes:
        time_s: Seconds since the scenario's start.
        intent: What they want.
        where: Attributes they must have, because an incident meets only some.
        incident: Name of the incident that made them, if one did.
    """

    time_s: float
    intent: str
    where: Where
    incident: str | None = None


class Hour(Struct, frozen=True):
    """The demand of one hour.

    Attributes:
        start: On the centre's clock.
        contacts: Expected ordinary contacts.
        weights: Of the intents among them, any sum.
        incidents: Expected contacts of each incident.
    """

    start: datetime
    contacts: float
    weights: dict[str, float]
    incidents: list[tuple[Incident, float]]


class Demand:
    """Draws a scenario's arrivals.

    Args:
        scenario: A checked scenario.
        catalogue: Its intents.
        seed: Equal seeds give equal arrivals.
    """

    def __init__(self, scenario: Scenario, catalogue: Catalogue, seed: int) -> None:
        self._scenario = scenario
        self._seed = seed
        calendar = scenario.calendar
        self._hours = _to_mean_one(calendar.hours)
        self._weekdays = _to_mean_one(calendar.weekdays)
        self._months = _to_mean_one(calendar.months)
        self._mix = scenario.intents or first_intents(catalogue)

    def hour(self, number: int) -> Hour:
        """The demand of the hour that begins ``number`` hours after the start."""
        scenario = self._scenario
        start = scenario.start + timedelta(hours=number)
        contacts = scenario.contacts_per_day / _DAY_H
        contacts *= self._hours[start.hour] * self._weekdays[start.weekday()] * self._months[start.month - 1]
        weights = dict(self._mix)
        for change in scenario.changes:
            _multiply(weights, change.intents, progress(change, start))
        before = sum(weights.values())
        for occasion in scenario.calendar.occasions:
            if _falls_on(occasion, start):
                contacts *= occasion.factor
                _multiply(weights, occasion.intents, 1.0)
        after = sum(weights.values())
        contacts *= after / before if before else 0.0  # what a promotion adds comes on top of the usual
        incidents = [(each, each.contacts_per_hour * intensity(each, start)) for each in scenario.incidents]
        return Hour(start, contacts, weights, [(each, extra) for each, extra in incidents if extra > 0])

    def random(self, contact: int) -> Random:
        """What decides who the customer of an arrival is."""
        return Random(f"{self._seed}:arrival:{contact}")  # noqa: S311 - a simulation

    def arrivals(self, number: int) -> list[Arrival]:
        """The arrivals of the hour that begins ``number`` hours after the start, in order."""
        hour = self.hour(number)
        chance = np.random.Generator(np.random.PCG64([self._seed, number]))
        random = Random(f"{self._seed}:hour:{number}")  # noqa: S311 - a simulation
        start_s = number * HOUR_S
        found: list[Arrival] = []
        count = chance.poisson(hour.contacts)
        if count:
            wheel = Wheel(hour.weights)
            found = [Arrival(start_s + HOUR_S * random.random(), wheel.draw(random), {}) for _ in range(count)]
        for incident, extra in hour.incidents:
            found += [
                Arrival(start_s + HOUR_S * moment, incident.intent, incident.where, incident.name)
                for moment in moments(incident, hour.start, random, chance.poisson(extra))
            ]
        return sorted(found, key=lambda arrival: arrival.time_s)


def first_intents(catalogue: Catalogue) -> dict[str, float]:
    """The intents a contact may begin with, in equal shares: nobody gets in touch to say thank you."""
    names = [name for name in catalogue.usual if name != THANKS]
    return dict.fromkeys(names, 1 / len(names))


def progress(change: Change, moment: datetime) -> float:
    """How far a slow change has come, from 0 to 1."""
    return min(max((moment - change.start) / (change.end - change.start), 0.0), 1.0)


def intensity(incident: Incident, moment: datetime) -> float:
    """Mean strength of an incident in the hour from ``moment``, from 0 to 1: up within a tenth of its time, then down.

    >>> from datetime import datetime
    >>> from headset.twin.scenario import Incident
    >>> storm = Incident(
    ...     name="storm", start=datetime(2026, 3, 2, 10), hours=10, intent="storm_outage", contacts_per_hour=60
    ... )
    >>> round(intensity(storm, datetime(2026, 3, 2, 10)), 2), round(intensity(storm, datetime(2026, 3, 2, 19)), 3)
    (0.5, 0.056)
    """
    first, last = _span(incident, moment)
    return (_area(last) - _area(first)) * incident.hours


def moments(incident: Incident, start: datetime, random: Random, count: int) -> list[float]:
    """When, as fractions of the hour from ``start``, an incident's contacts come."""
    first, last = _span(incident, start)
    low, high = _area(first), _area(last)
    begins = (incident.start - start) / _HOUR
    return [
        min(max(begins + incident.hours * _inverse(low + (high - low) * random.random()), 0.0), 1.0)
        for _ in range(count)
    ]


def _span(incident: Incident, moment: datetime) -> tuple[float, float]:
    """The part of the incident's time, from 0 to 1, that lies in the hour from ``moment``."""
    first = (moment - incident.start) / _HOUR / incident.hours
    last = first + 1 / incident.hours
    return min(max(first, 0.0), 1.0), min(max(last, 0.0), 1.0)


def _area(passed: float) -> float:
    """Under the triangle of height 1 from 0 to ``passed``."""
    return passed**2 / (2 * _RISE) if passed < _RISE else 0.5 - (1 - passed) ** 2 / (2 * (1 - _RISE))


def _inverse(area: float) -> float:
    """Where :func:`_area` has this value."""
    return math.sqrt(2 * _RISE * area) if area < _RISE / 2 else 1 - math.sqrt(max(0.5 - area, 0.0) * 2 * (1 - _RISE))


def _falls_on(occasion: Occasion, moment: datetime) -> bool:
    return occasion.start <= moment.date() <= occasion.last


def _multiply(weights: dict[str, float], factors: dict[str, float], share: float) -> None:
    for intent, factor in factors.items():
        weights[intent] = weights.get(intent, 0.0) * (1 + (factor - 1) * share)


def _to_mean_one(profile: tuple[float, ...]) -> tuple[float, ...]:
    total = sum(profile)
    return tuple(weight * len(profile) / total for weight in profile)
