"""Waivers: a version becomes champion without one gate of one validation, because two people say so, for a while."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from headset.core.clock import iso
from headset.events.schema import WaiverGranted, WaiverRequested
from headset.registry.evidence import DAY_US, Moment, elapsed, shortfall, validate_again

if TYPE_CHECKING:
    from headset.events.schema import Actor
    from headset.registry.evidence import Case, Validation

WAIVER_DAYS = 30
IMPERSONAL = frozenset({"owner", "development", "training"})
"""Who acts without a key of their own: they move aliases, but are nobody when two people are asked for."""

State = Literal["requested", "granted", "expired", "withdrawn"]


class Waiver(Struct, frozen=True):
    """A waiver on record: asked for, perhaps granted, perhaps withdrawn."""

    request: WaiverRequested
    requested: Moment
    granted: WaiverGranted | None = None
    withdrawn: bool = False

    def state(self, now: Moment) -> State:
        """How it stands; it counts from when it was asked for."""
        if self.withdrawn:
            return "withdrawn"
        if elapsed(self.requested, now) > self.request.days * DAY_US:
            return "expired"
        return "granted" if self.granted else "requested"


class WaiverReport(Struct, frozen=True):
    """A waiver as it is told; ``granted_by`` is empty until a second person agrees."""

    waiver_id: str
    model: str
    version: str
    validation_id: str
    gate: str
    state: State
    expires: str
    reason: str
    asked_by: str
    granted_by: str
    days: float


def report(waiver: Waiver, now: Moment) -> WaiverReport:
    """The waiver as of now."""
    request = waiver.request
    return WaiverReport(
        waiver_id=request.waiver_id,
        model=request.model,
        version=request.version,
        validation_id=request.validation_id,
        gate=request.gate,
        state=waiver.state(now),
        expires=iso(waiver.requested.told + round(request.days * DAY_US)),
        reason=request.reason,
        asked_by=request.by.person,
        granted_by=waiver.granted.by.person if waiver.granted else "",
        days=request.days,
    )


def request_objections(case: Case, request: WaiverRequested) -> list[str]:
    """Why a waiver may not be asked for."""
    if case.validation is None or case.validation.ended.validation_id != request.validation_id:
        return [(f"a waiver is for a gate of the newest validation on record; {validate_again(case.made)} first")]
    if request.artifact_sha256 != case.made.artifact_sha256:
        return ["the waiver names another artifact than the registered one"]
    if not 0 < request.days <= WAIVER_DAYS:
        return [f"a waiver lasts for above 0 and at most {WAIVER_DAYS} days, not {request.days:g}"]
    if not shortfall(case, request.gate):
        return [f"gate {request.gate} passed; there is nothing to waive"]
    return _personless(request.by)


def grant_objections(waiver: Waiver, newest: Validation | None, by: Actor, now: Moment) -> list[str]:
    """Why someone may not grant a waiver."""
    request, state = waiver.request, waiver.state(now)
    if state != "requested":
        return [f"waiver {request.waiver_id} is {state}; ask for another"]
    if newest is None or newest.ended.validation_id != request.validation_id:
        return [f"waiver {request.waiver_id} is for a validation that is not the newest any more; ask for another"]
    if person_of(by) == person_of(request.by):
        return [f"{by.person} asked for the waiver and cannot grant it; a second person must"]
    if told := _personless(by):
        return told
    if by.key_made >= waiver.requested.told:
        return [f"the key {by.key_id} was made after the waiver was asked for; a key from before is needed"]
    return []


def _personless(by: Actor) -> list[str]:
    if not by.key_id or person_of(by) in IMPERSONAL:
        return [f"a waiver needs two people with keys of their own, and {by.person!r} is none; name one with --key"]
    return []


def person_of(by: Actor) -> str:
    """A person's name as names are compared.

    >>> from headset.events.schema import Actor
    >>> person_of(Actor(" Ann ")) == person_of(Actor("ann"))
    True
    """
    return " ".join(unicodedata.normalize("NFKC", by.person).casefold().split())
