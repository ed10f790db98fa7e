"""Planted faults: what the data says differs from what happened."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import msgspec

from headset.twin.stage import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headset.twin.scenario import Fault, Scenario
    from headset.twin.stage import Contact

_MS_PER_S = 1_000

DEFAULT_LANGUAGE = "en"
"""What a log says of a conversation whose language nobody told."""


class Faults:
    """Distorts what is told, as the scenario plans.

    Args:
        scenario: Whose faults.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._start = scenario.start
        self._faults = scenario.faults
        self._latest: dict[str, float] = {}

    def attributes(self, contact: Contact, now_s: float) -> tuple[str, dict[str, str]]:
        """The language and the segments of a contact, as they are told."""
        language, segments = contact.customer.language, contact.customer.segments
        for fault in self._active("missing_field", contact, now_s):
            if fault.field == "language":
                language = DEFAULT_LANGUAGE
            segments = {name: value for name, value in segments.items() if name != fault.field}
        return language, segments

    def outcomes(self, contact: Contact, outcome: Outcome, now_s: float) -> list[Outcome]:
        """What is told in place of ``outcome``: nothing, something else, or the same thing twice."""
        told = outcome
        for fault in self._active("missing_field", contact, now_s):
            if fault.field in {"handle_time_s", "csat"}:
                told = msgspec.structs.replace(told, **{fault.field: None})
        for _ in self._active("wrong_unit", contact, now_s):
            if told.handle_time_s is not None:
                told = msgspec.structs.replace(told, handle_time_s=told.handle_time_s * _MS_PER_S)
        for fault in self._active("stuck_feed", contact, now_s):
            if getattr(told, fault.field) is not None and fault.field in self._latest:
                told = msgspec.structs.replace(told, **{fault.field: self._latest[fault.field]})
        for field in ("handle_time_s", "csat"):
            if (value := getattr(told, field)) is not None:
                self._latest[field] = value
        if told == Outcome():
            return []
        twice = any(True for _ in self._active("duplicates", contact, now_s))
        return [told, told] if twice else [told]

    def _active(self, kind: str, contact: Contact, now_s: float) -> Iterator[Fault]:
        now = self._start + timedelta(seconds=now_s)
        for fault in self._faults:
            if fault.kind == kind and fault.start <= now < fault.end and _hits(fault, contact, now_s):
                yield fault


def _hits(fault: Fault, contact: Contact, now_s: float) -> bool:
    """Decided by the event alone, so that a fault changes nothing but what it says."""
    if fault.share >= 1:
        return True
    chance = Random(f"{fault.name}:{contact.conversation_id}:{now_s}")  # noqa: S311 - a simulation
    return chance.random() < fault.share
