"""What the log says of models, and what of it counts: the fold through which every version and alias goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from headset.core.clock import iso
from headset.events.schema import (
    Actor,
    AttemptRefused,
    GateEvaluated,
    ModelRegistered,
    Promoted,
    ValidationEnded,
    WaiverGranted,
    WaiverRequested,
    WaiverWithdrawn,
)
from headset.registry.evidence import (
    CHAMPION,
    VALID_DAYS,
    Case,
    Moment,
    Validation,
    model_option,
    objections,
    validate_again,
)
from headset.registry.waiver import Waiver, grant_objections, request_objections

if TYPE_CHECKING:
    from uuid import UUID

    from headset.events.log import Record
    from headset.registry.seal import Seal

ALIASES = (CHAMPION, "candidate", "shadow")
TYPES = (
    "ModelRegistered",
    "GateEvaluated",
    "ValidationEnded",
    "Promoted",
    "WaiverRequested",
    "WaiverGranted",
    "WaiverWithdrawn",
    "AttemptRefused",
)
_UNSEALED = "its seal is missing or wrong: it was written, changed or copied in by another hand than this registry"
_WORDS: dict[type, str] = {WaiverRequested: "waive", WaiverGranted: "approve", WaiverWithdrawn: "withdraw"}
_NOBODY = Actor(person="unknown", path="log")

Judged = Promoted | WaiverRequested | WaiverGranted | WaiverWithdrawn
Outcome = Literal["done", "refused"]


class AuditEntry(Struct, frozen=True):
    """One line of the audit.

    Attributes:
        when: ISO 8601.
        what: ``promote``, ``rollback``, ``validate``, ``waive``, ``approve``, ``withdraw``, or the type of an event
            that bears no good seal.
        detail: Which alias, gate or waiver; of a validation its results.
        reason: Why it was asked for.
        why: What it was done for, or why it was refused.
        offset: Its place in the log.
    """

    when: str
    outcome: Outcome
    what: str
    model: str
    version: str
    detail: str
    person: str
    key_id: str
    path: str
    reason: str
    why: str
    offset: int


class Ledger:
    """Versions, aliases, validations and waivers, folded from the log record by record.

    Nothing moves ``champion`` here but a sealed ``Promoted`` event that the rule of
    :mod:`headset.registry.evidence` agrees to; what it refuses changes nothing and stands in the audit.

    Attributes:
        latest: The latest time that a sealed event bears.
        versions: When each was registered, and how it was made.
        aliases: The version each points at, by model and alias.
        reigns: The champions of each model, in order.
        left: Versions that were rolled back, with the place in the log where.
        validations: The newest of each version.
        waivers: All, by id.
        crowned: The promotion that last made a version champion; it holds its card.
        audit: All that was done and refused.
        refused: Why, by the id of the event that changed nothing.
    """

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self.latest = 0
        self.versions: dict[tuple[str, str], tuple[int, ModelRegistered]] = {}
        self.aliases: dict[tuple[str, str], str] = {}
        self.reigns: dict[str, list[str]] = {}
        self.left: dict[tuple[str, str], int] = {}
        self.validations: dict[tuple[str, str], Validation] = {}
        self.waivers: dict[str, Waiver] = {}
        self.crowned: dict[tuple[str, str], Promoted] = {}
        self.audit: list[AuditEntry] = []
        self.refused: dict[UUID, list[str]] = {}
        self._gates: dict[str, list[GateEvaluated]] = {}

    def apply(self, record: Record) -> None:
        """Fold one record in."""
        event, payload = record.event, record.event.payload
        if isinstance(payload, ModelRegistered):
            self.versions.setdefault((payload.model, payload.version), (event.event_time, payload))
            return
        if not self._seal.holds(event):
            self._note(record, "refused", event.type, why=_UNSEALED)
            return
        self.latest = max(self.latest, event.event_time)
        now = Moment(event.event_time, self.latest)
        match payload:
            case GateEvaluated():
                self._gates.setdefault(payload.validation_id, []).append(payload)
            case ValidationEnded():
                self._validated(record, payload, now)
            case AttemptRefused():
                self._note(record, "refused", payload.action, why=payload.why)
            case Promoted() | WaiverRequested() | WaiverGranted() | WaiverWithdrawn():
                self._judge(record, payload, now)
            case _:
                pass

    def moment(self, told: int) -> Moment:
        """The moment of something told at ``told``, after all that is on record."""
        return Moment(told, max(told, self.latest))

    def champion(self, model: str) -> str:
        """The version that serves; empty where there is none."""
        return self.aliases.get((model, CHAMPION), "")

    def case(
        self,
        made: ModelRegistered,
        now: Moment,
        required: tuple[str, ...],
        valid_days: float,
        limits: dict[str, float],
    ) -> Case:
        """What is on record about making a version champion now."""
        key = made.model, made.version
        validation = self.validations.get(key)
        return Case(
            made=made,
            validation=validation,
            reigning=self.champion(made.model),
            left=self.left.get(key, 0),
            waived=frozenset(each.request.gate for each in self.waivers_of(made) if each.state(now) == "granted"),
            now=now,
            required=required,
            valid_days=min(valid_days, VALID_DAYS),
            limits=limits,
        )

    def waivers_of(self, made: ModelRegistered) -> list[Waiver]:
        """The waivers of a version's newest validation, whatever became of them."""
        newest = self.validations.get((made.model, made.version))
        if newest is None:
            return []
        of = made.model, made.version, newest.ended.validation_id, made.artifact_sha256
        return [
            waiver
            for waiver in self.waivers.values()
            if (
                waiver.request.model,
                waiver.request.version,
                waiver.request.validation_id,
                waiver.request.artifact_sha256,
            )
            == of
        ]

    def objections(self, payload: Judged, now: Moment) -> list[str]:  # noqa: PLR0911 - one answer per kind
        """Why something that is told now changes nothing; none where it does."""
        if not payload.by.person.strip():
            return ["nobody is named who asks for it"]
        match payload:
            case Promoted():
                return self._against_promotion(payload, now)
            case WaiverRequested():
                known = self.versions.get((payload.model, payload.version))
                if known is None or not payload.reason.strip():
                    return [f"version {payload.version} is not registered, or no reason is given"]
                return request_objections(self.case(known[1], now, (payload.gate,), VALID_DAYS, {}), payload)
            case WaiverGranted() | WaiverWithdrawn():
                waiver = self.waivers.get(payload.waiver_id)
                if waiver is None or waiver.request.model != payload.model:
                    return [f"there is no waiver {payload.waiver_id!r} of {payload.model!r}; see 'headset audit'"]
                if isinstance(payload, WaiverWithdrawn):
                    return [f"waiver {payload.waiver_id} is withdrawn already"] if waiver.withdrawn else []
                newest = self.validations.get((payload.model, waiver.request.version))
                return grant_objections(waiver, newest, payload.by, now)

    def previous(self, model: str) -> str:
        """The version a rollback goes to unless told otherwise; empty where there is none."""
        reigning = self.champion(model)
        reigns = reversed(self.reigns.get(model, []))
        return next((each for each in reigns if each != reigning and (model, each) not in self.left), "")

    def _against_promotion(self, asked: Promoted, now: Moment) -> list[str]:  # noqa: PLR0911 - one answer per flaw
        known = self.versions.get((asked.model, asked.version))
        if known is None:
            return [f"version {asked.version} of {asked.model!r} is not registered"]
        if asked.alias not in ALIASES:
            return [f"{asked.alias!r} is no alias; there are {', '.join(ALIASES)}"]
        if not asked.reason.strip():
            return ["no reason is given"]
        if asked.alias != CHAMPION:
            return []
        made, reigning = known[1], self.champion(asked.model)
        if asked.replaces != reigning:
            return [f"it was to replace {asked.replaces or 'no champion'}, but {reigning or 'none'} is champion now"]
        if asked.artifact_sha256 != made.artifact_sha256:
            return ["it names another artifact than the registered one"]
        if asked.action == "rollback":
            return self._against_rollback(asked, reigning)
        case = self.case(made, now, asked.required, asked.valid_days, asked.limits)
        against = objections(case)
        newest = case.validation.ended.validation_id if case.validation else ""
        if not against and asked.validation_id != newest:
            return [f"it rests on validation {asked.validation_id or 'none'}, the newest is {newest}; promote anew"]
        return against

    def _against_rollback(self, asked: Promoted, reigning: str) -> list[str]:
        reigns = self.reigns.get(asked.model, [])
        if asked.version == reigning:
            return [f"version {asked.version} is champion already"]
        if asked.version not in reigns:
            known = ", ".join(dict.fromkeys(each for each in reigns if each != reigning)) or "none"
            return [f"version {asked.version} was never champion, so it takes evidence; before now were: {known}"]
        if (asked.model, asked.version) in self.left:
            _, made = self.versions[asked.model, asked.version]
            which = asked.version + model_option(asked.model)
            back = "it does not come back" if made.features else "it comes back with a new validation"
            then = "" if made.features else f", then 'headset models promote {which}'"
            return [f"version {asked.version} was itself rolled back; {back}: {validate_again(made)}{then}"]
        return []

    def _judge(self, record: Record, payload: Judged, now: Moment) -> None:
        against = self.objections(payload, now)
        if against:
            self.refused[record.event.event_id] = against
        what = payload.action if isinstance(payload, Promoted) else _WORDS[type(payload)]
        why = "; ".join(against) or getattr(payload, "evidence", "")
        self._note(record, "refused" if against else "done", what, why=why)
        if against:
            return
        match payload:
            case Promoted():
                self._move(record.offset, payload)
            case WaiverRequested():
                self.waivers[payload.waiver_id] = Waiver(payload, now)
            case WaiverGranted():
                self.waivers[payload.waiver_id] = replace(self.waivers[payload.waiver_id], granted=payload)
            case WaiverWithdrawn():
                self.waivers[payload.waiver_id] = replace(self.waivers[payload.waiver_id], withdrawn=True)

    def _move(self, offset: int, promoted: Promoted) -> None:
        key = promoted.model, promoted.version
        self.aliases[promoted.model, promoted.alias] = promoted.version
        if promoted.alias != CHAMPION:
            return
        self.reigns.setdefault(promoted.model, []).append(promoted.version)
        if promoted.action == "rollback":
            self.left[promoted.model, promoted.replaces] = offset
        else:
            self.left.pop(key, None)
            self.crowned[key] = promoted

    def _validated(self, record: Record, ended: ValidationEnded, now: Moment) -> None:
        gates = tuple(
            gate
            for gate in self._gates.pop(ended.validation_id, ())
            if (gate.model, gate.version, gate.artifact_sha256) == (ended.model, ended.version, ended.artifact_sha256)
        )
        self.validations[ended.model, ended.version] = Validation(ended, gates, now, record.offset)
        compared = f"compared with version {ended.champion}" if ended.champion else "without a champion"
        self._note(record, "done", "validate", why=compared)

    def _note(self, record: Record, outcome: Outcome, what: str, *, why: str) -> None:
        event, payload = record.event, record.event.payload
        waiver = self.waivers.get(getattr(payload, "waiver_id", ""))
        by: Actor = getattr(payload, "by", Actor(person=event.source, path=event.source))
        self.audit.append(
            AuditEntry(
                when=iso(event.event_time),
                outcome=outcome,
                what=what,
                model=getattr(payload, "model", ""),
                version=getattr(payload, "version", "") or (waiver.request.version if waiver else ""),
                detail=_detail(payload),
                person=(by if by.person else _NOBODY).person,
                key_id=by.key_id,
                path=by.path if by.person else _NOBODY.path,
                reason=getattr(payload, "reason", ""),
                why=why,
                offset=record.offset,
            )
        )


def _detail(payload: object) -> str:
    match payload:
        case Promoted(alias=told) | AttemptRefused(detail=told):
            return told
        case ValidationEnded():
            results = ", ".join(f"{gate} {result}" for gate, result in payload.results.items())
            return f"{payload.validation_id}: {results}"
        case WaiverRequested():
            return f"{payload.waiver_id}: {payload.gate}, {payload.days:g} days"
        case GateEvaluated():
            return f"{payload.gate} {payload.result}"
        case _:
            return getattr(payload, "waiver_id", "")
