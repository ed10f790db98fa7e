"""The rule by which the alias ``champion`` moves: for evidence on record only. It reads no clock, file or log."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from headset.core.clock import iso
from headset.events.schema import GateEvaluated, ModelRegistered, ValidationEnded

CHAMPION = "champion"
BASELINE = "baseline"
"""The gate that training itself holds a model to: a first champion has nothing else to be compared with."""

INTENT_GATES = ("suite", CHAMPION, "out_of_scope", "calibration", "fairness", "latency", "business")
FLOOR = (CHAMPION, "calibration")
"""Gates that no setting takes away."""

VALID_DAYS = 90
"""The longest that a validation may be set to count."""

_ABSENT = "was not evaluated"
DAY_US = 86_400_000_000


class Policy(Struct, frozen=True):
    """What this installation asks for.

    Attributes:
        models: The models that decide turns here.
        required: Gates that their versions must hold, and those of every other model that reads texts; a model that
            reads features is held to the floor.
        valid_days: How long a validation counts.
        limits: What the same versions are held to, where it is not as shipped, by name.
    """

    models: frozenset[str] = frozenset({"intent"})
    required: tuple[str, ...] = INTENT_GATES
    valid_days: float = 14.0
    limits: dict[str, float] = {}

    def required_of(self, made: ModelRegistered) -> tuple[str, ...]:
        """The gates that a version must hold, the floor included."""
        asked = self.required if self._reads_texts(made) else ()
        return (*asked, *(gate for gate in FLOOR if gate not in asked))

    def limits_of(self, made: ModelRegistered) -> dict[str, float]:
        """The limits that a version must be held to, where they are not as shipped."""
        return self.limits if self._reads_texts(made) else {}

    def _reads_texts(self, made: ModelRegistered) -> bool:
        return made.model in self.models or not made.feature_service


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


class Case(Struct, frozen=True):
    """All that is on record about making a version champion now.

    Attributes:
        made: The version.
        validation: Its newest, if any.
        reigning: The champion of now; empty where there is none.
        left: Place in the log where it was last rolled back; 0 if never.
        waived: Gates of its newest validation that a waiver in force is for.
        now: When it is asked for.
        required: Gates it must hold.
        valid_days: How long a validation counts.
        limits: What it must have been held to, where that is not as shipped.
    """

    made: ModelRegistered
    validation: Validation | None
    reigning: str
    left: int
    waived: frozenset[str]
    now: Moment
    required: tuple[str, ...]
    valid_days: float
    limits: dict[str, float] = {}

    @property
    def needed(self) -> tuple[str, ...]:
        """The gates that count: all that are required, or the baseline where training told it of a first champion."""
        if not self.reigning and self.validation is not None and BASELINE in self.validation.ended.results:
            return (BASELINE,)
        return (*self.required, *(gate for gate in FLOOR if gate not in self.required))


def objections(case: Case) -> list[str]:
    """Why the version may not become champion now, each in a sentence; none where it may."""
    version, found = case.made.version, case.validation
    other = model_option(case.made.model)
    again = validate_again(case.made)
    anew, unbound = ("", "") if case.made.features else (" anew", ", without --limits and --margin")
    if version == case.reigning:
        return [f"version {version} is champion already"]
    if found is None:
        return [f"version {version} has no validation on record; {again}"]
    ended = found.ended
    told = []
    if found.offset < case.left:
        told.append(f"version {version} was rolled back after its validation {ended.validation_id}; {again}{anew}")
    if ended.artifact_sha256 != case.made.artifact_sha256:
        told.append(
            f"validation {ended.validation_id} saw the artifact {_short(ended.artifact_sha256)}, registered is"
            f" {_short(case.made.artifact_sha256)}; {again}{anew}"
        )
    if ended.champion != case.reigning:
        compared = f"version {ended.champion}" if ended.champion else "no champion"
        reigns = f"version {case.reigning} is champion" if case.reigning else "there is none"
        told.append(f"validation {ended.validation_id} compared it with {compared}, now {reigns}; {again}{anew}")
    if elapsed(found.moment, case.now) > case.valid_days * DAY_US:
        told.append(
            f"validation {ended.validation_id} is of {iso(found.moment.told)}, older than {case.valid_days:g} days;"
            f" {again}{anew}"
        )
    if case.needed != (BASELINE,) and ended.limits != case.limits:
        told.append(
            f"validation {ended.validation_id} was held to other limits than this installation's:"
            f" {_differences(ended.limits, case.limits)}; {again}{unbound}"
        )
    missed = {gate: kept for gate in case.needed if (kept := shortfall(case, gate)) and gate not in case.waived}
    absent = [gate for gate, kept in missed.items() if kept == _ABSENT]
    if absent:
        which = f"gate {absent[0]} was" if len(absent) == 1 else f"gates {', '.join(absent)} were"
        told.append(f"{which} not evaluated; {again}")
    told += [
        f"gate {gate} {kept}; improve the model, or ask for a waiver:"
        f" 'headset models waive {version}{other} --gate {gate}'"
        for gate, kept in missed.items()
        if kept != _ABSENT
    ]
    return told


def validate_again(made: ModelRegistered) -> str:
    """The command that gives a version new evidence, or, where its training told it, a new version."""
    if made.features:
        return f"train a new version with 'headset train {made.model}'"
    return f"run 'headset validate {made.version}{model_option(made.model)}'"


def model_option(model: str) -> str:
    """What a command needs to mean this model; nothing for the one that is meant unless told otherwise.

    >>> model_option("intent"), model_option("fine")
    ('', ' --model fine')
    """
    return "" if model == "intent" else f" --model {model}"


def shortfall(case: Case, gate: str) -> str:
    """What keeps a gate of the newest validation from being held; empty where it is held."""
    return _shortfall(case.validation, gate) if case.validation else _ABSENT


def _shortfall(found: Validation, gate: str) -> str:
    result = found.ended.results.get(gate)
    if result is None:
        return _ABSENT
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


def _differences(used: dict[str, float], held: dict[str, float]) -> str:
    def told(limits: dict[str, float], name: str) -> str:
        return f"{limits[name]:g}" if name in limits else "as shipped"

    names = sorted(name for name in {*used, *held} if used.get(name) != held.get(name))
    return ", ".join(f"{name} {told(used, name)} (here {told(held, name)})" for name in names)


def _short(sha256: str) -> str:
    return f"{sha256[:12]}…" if sha256 else "none"
