"""The rule by which the alias ``champion`` moves: for evidence on record only. It reads no clock, no file and no log."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from headset.core.clock import iso
from headset.events.schema import GateEvaluated, ModelRegistered, ValidationEnded, WaiverGranted, WaiverRequested

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headset.events.schema import Actor

CHAMPION = "champion"
BASELINE = "baseline"
"""The gate that training itself holds a model to: a first champion has nothing else to be compared with."""

INTENT_GATES = ("suite", CHAMPION, "out_of_scope", "calibration", "fairness", "latency", "business")
FLOOR = (CHAMPION, "calibration")
"""Gates that no setting takes away."""

WAIVER_DAYS = 30
VALID_DAYS = 90
IMPERSONAL = frozenset({"owner", "development", "training"})
"""Who acts without a key of their own: they move aliases, but are nobody when two people are asked for."""

_DAY_US = 86_400_000_000


class Policy(Struct, frozen=True):
    """What this installation asks for.

    Attributes:
        model: The model that ``required`` is about; others are held to the floor.
        required: Gates its versions must hold.
        valid_days: How long a validation counts.
    """

    model: str = "intent"
    required: tuple[str, ...] = INTENT_GATES
    valid_days: float = 14.0

    def required_of(self, model: str) -> tuple[str, ...]:
        """The gates that versions of ``model`` must hold, the floor included.

        >>> Policy(required=("suite",)).required_of("intent")
        ('suite', 'champion', 'calibration')
        """
        asked = self.required if model == self.model else ()
        return (*asked, *(gate for gate in FLOOR if gate not in asked))


class Moment(NamedTuple):
    """When something was told, and the latest time that anything on record had been told by then."""

    told: int
    latest: int


def elapsed(since: Moment, now: Moment) -> int:
    """Microseconds between two moments; setting the clock back behind what is on record does not shorten them.

    >>> elapsed(Moment(10, 10), Moment(5, 90))
    80
    """
    return max(now.told - since.told, now.latest - since.latest)


class Validation(Struct, frozen=True):
    """A validation on record, with its gates; ``offset`` is its place in the log."""

    ended: ValidationEnded
    gates: tuple[GateEvaluated, ...]
    moment: Moment
    offset: int


class Waiver(Struct, frozen=True):
    """A waiver on record: asked for, perhaps granted, perhaps withdrawn."""

    request: WaiverRequested
    requested: Moment
    granted: WaiverGranted | None = None
    withdrawn: bool = False

    def state(self, now: Moment) -> str:
        """``requested``, ``granted``, ``expired`` or ``withdrawn``."""
        if self.withdrawn:
            return "withdrawn"
        if elapsed(self.requested, now) > self.request.days * _DAY_US:
            return "expired"
        return "granted" if self.granted else "requested"


class Case(Struct, frozen=True):
    """All that is on record about making a version champion now.

    Attributes:
        made: The version.
        validation: Its newest, if any.
        reigning: The champion of now; empty where there is none.
        left: Place in the log where it was last rolled back; 0 if never.
        waivers: Those of its newest validation.
        now: When it is asked for.
        required: Gates it must hold.
        valid_days: How long a validation counts.
    """

    made: ModelRegistered
    validation: Validation | None
    reigning: str
    left: int
    waivers: Sequence[Waiver]
    now: Moment
    required: tuple[str, ...]
    valid_days: float

    @property
    def needed(self) -> tuple[str, ...]:
        """The gates that count: of a first champion the baseline, or all but the comparison with a champion."""
        required = (*self.required, *(gate for gate in FLOOR if gate not in self.required))
        if self.reigning:
            return required
        if self.validation is not None and BASELINE in self.validation.ended.results:
            return (BASELINE,)
        return tuple(gate for gate in required if gate != CHAMPION)

    def waiver(self, gate: str) -> Waiver | None:
        """The waiver in force for a gate, if any."""
        return next(
            (each for each in self.waivers if each.request.gate == gate and each.state(self.now) == "granted"), None
        )


def objections(case: Case) -> list[str]:
    """Why the version may not become champion now, each in a sentence; none where it may."""
    version, found = case.made.version, case.validation
    again = f"run 'headset validate {version}'"
    if version == case.reigning:
        return [f"version {version} is champion already"]
    if found is None:
        return [f"version {version} has no validation on record; {again}"]
    ended = found.ended
    told = []
    if found.offset < case.left:
        told.append(f"version {version} was rolled back after its validation {ended.validation_id}; {again} anew")
    if ended.artifact_sha256 != case.made.artifact_sha256:
        told.append(
            f"validation {ended.validation_id} saw the artifact {_short(ended.artifact_sha256)}, registered is"
            f" {_short(case.made.artifact_sha256)}; {again} anew"
        )
    if ended.champion != case.reigning:
        compared = f"version {ended.champion}" if ended.champion else "no champion"
        reigns = f"version {case.reigning} is champion" if case.reigning else "there is none"
        told.append(f"validation {ended.validation_id} compared it with {compared}, now {reigns}; {again} anew")
    if elapsed(found.moment, case.now) > case.valid_days * _DAY_US:
        told.append(
            f"validation {ended.validation_id} is of {iso(found.moment.told)}, older than {case.valid_days:g} days;"
            f" {again} anew"
        )
    told += [
        f"gate {gate} {_shortfall(found, gate)}; improve the model, or ask for a waiver with"
        f" 'headset models waive {version} --gate {gate}'"
        for gate in case.needed
        if shortfall(case, gate) and case.waiver(gate) is None
    ]
    return told


def shortfall(case: Case, gate: str) -> str:
    """What keeps a gate of the newest validation from being held; empty where it is held."""
    return _shortfall(case.validation, gate) if case.validation else "was not evaluated"


def _shortfall(found: Validation, gate: str) -> str:
    result = found.ended.results.get(gate)
    if result is None:
        return "was not evaluated"
    if result != "pass":
        return {"fail": "failed", "inconclusive": "is inconclusive"}[result]
    told = [each.result for each in found.gates if each.gate == gate]
    return "" if told and set(told) == {"pass"} else "passed without evidence on record"


def evidence_of(case: Case) -> str:
    """What speaks for a version that may become champion, in a sentence."""
    if case.validation is None:
        return ""
    waived = [gate for gate in case.needed if shortfall(case, gate)]
    held = [gate for gate in case.needed if gate not in waived]
    said = f"validation {case.validation.ended.validation_id} passed {', '.join(held) or 'no gate'}"
    return said + (f"; waived: {', '.join(waived)}" if waived else "")


def request_objections(case: Case, request: WaiverRequested) -> list[str]:
    """Why a waiver may not be asked for."""
    if case.validation is None or case.validation.ended.validation_id != request.validation_id:
        return ["a waiver is for a gate of the newest validation on record; run 'headset validate' first"]
    if request.artifact_sha256 != case.made.artifact_sha256:
        return ["the waiver names another artifact than the registered one"]
    if not 0 < request.days <= WAIVER_DAYS:
        return [f"a waiver lasts for above 0 and at most {WAIVER_DAYS} days, not {request.days:g}"]
    if request.gate not in case.needed:
        return [f"gate {request.gate!r} is not required; required are {', '.join(case.needed)}"]
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


def _short(sha256: str) -> str:
    return f"{sha256[:12]}…" if sha256 else "none"
