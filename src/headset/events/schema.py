"""The vocabulary of the log: names and fields that all parts share, and no behaviour.

Every event says what happened, in the past tense. Times are microseconds since the epoch (UTC).
Text a person wrote appears only as :data:`Sealed`, which the vault alone can make and open.
Fields are added with defaults and never change their meaning; a change of meaning is a new
``schema_version``.
"""

from __future__ import annotations

from typing import Annotated, Literal, NewType, dataclass_transform
from uuid import UUID

from msgspec import Meta, Struct

Sealed = NewType("Sealed", str)
"""Redacted, encrypted text: base64 of nonce and ciphertext under the subject's key."""

Ratio = Annotated[float, Meta(ge=0, le=1)]
Speaker = Literal["customer", "agent", "bot"]
Arm = Literal["champion", "candidate", "shadow"]
Route = Literal["bot", "human"]
RouteReason = Literal[
    "confident",
    "low_confidence",
    "asked_for_human",
    "sentiment",
    "at_risk",
    "not_automated",
    "model_error",
    "with_human",
]
FeedbackAction = Literal["accepted", "edited", "overridden", "rejected", "ignored"]
GateResult = Literal["pass", "fail", "inconclusive"]
JobResult = Literal["succeeded", "failed", "cancelled"]
Resolution = Literal["resolved", "unresolved", "transferred", "abandoned"]


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Payload(Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True, tag_field="type"):
    """What an event says beyond its envelope; the class name is the event's type."""


class Placed(Payload, kw_only=True):
    """News of a conversation, with what its start said of it: features are counted by queue and by segment.

    ``segment`` is the customer's attributes together: ``region=north,tenure=new``.
    """

    queue: str | None = None
    segment: str | None = None


class Actor(Struct, frozen=True, omit_defaults=True):
    """Who did something to a model.

    Attributes:
        person: Name of the person, or of the program that acts for nobody in particular.
        path: The way it came: ``cli``, ``http``, ``api``, ``train``.
        key_id: Of the API key that showed who it was; empty without one.
        key_made: When that key was made.
    """

    person: str
    path: str = "api"
    key_id: str = ""
    key_made: int = 0


class Alternative(Struct, frozen=True):
    """One intent a model considered, with its calibrated probability."""

    intent: str
    confidence: Ratio


class ConversationStarted(Placed):
    """A customer opened a conversation."""

    queue: str = "default"
    channel: str = "chat"
    language: str = "en"
    customer_id: str | None = None
    attributes: dict[str, str] = {}


class TurnReceived(Placed):
    """Someone said something. ``position`` counts the conversation's turns from 0.

    The signals computed from the text when it came in, each under the version of what computed it: ``sentiment``, and
    ``embedding``, sealed, as :func:`headset.features.signal.pack` writes it. What is not there, or of another version
    than is wanted, is computed from the text again; a sentiment without a version counts as of any.
    """

    turn_id: str
    position: int
    speaker: Speaker
    text: Sealed
    speaker_id: str | None = None
    sentiment: float | None = None
    sentiment_version: str = ""
    embedding: Sealed | None = None
    encoder_version: str = ""
    redactions: dict[str, int] = {}


class DecisionServed(Placed):
    """A model's answer to a customer turn, as it was used.

    ``suggestions`` are the event ids of the agents' turns that were suggested as replies: no text is copied from
    one subject to another, so erasing a subject leaves none of their words behind. ``feature_position`` is the log
    offset up to which the features read had heard of events, ``feature_hash`` covers versions and values of all
    that was read. ``risk`` is the probability that the conversation ends badly, by version ``risk_version``.
    """

    decision_id: str
    turn_id: str
    position: int
    model: str
    model_version: str
    arm: Arm
    intent: str | None
    confidence: Ratio
    route: Route
    reason: RouteReason
    latency_ms: float
    alternatives: list[Alternative] = []
    scope: float | None = None
    sentiment: float | None = None
    suggestions: list[UUID] = []
    feature_versions: dict[str, str] = {}
    feature_hash: str = ""
    feature_position: int = 0
    risk: Ratio | None = None
    risk_version: str = ""
    degraded: bool = False
    error: str | None = None


class DecisionShadowed(Payload):
    """What a model that serves nobody would have answered to the same turn."""

    decision_id: str
    shadow_of: str
    turn_id: str
    model: str
    model_version: str
    intent: str | None
    confidence: Ratio
    route: Route
    latency_ms: float
    alternatives: list[Alternative] = []
    error: str | None = None


class SuggestionShown(Payload):
    """An agent's screen displayed a decision's suggestions."""

    decision_id: str
    agent_id: str


class FeedbackRecorded(Placed):
    """What the agent did with a decision. ``edit_distance`` is Levenshtein / longer length, 0 to 1."""

    decision_id: str
    action: FeedbackAction
    agent_id: str
    intent: str | None = None
    reply: Sealed | None = None
    edit_distance: Ratio | None = None


class HandoffRequested(Placed):
    """The conversation goes to a person, with what they need so the customer repeats nothing."""

    decision_id: str
    queue: str
    reason: RouteReason
    summary: Sealed
    steps_tried: list[str]
    due_time: int


class HandoffAccepted(Placed):
    """An agent took the conversation over."""

    agent_id: str


class ConversationEnded(Placed):
    """No more turns are expected."""

    ended_by: Literal["customer", "agent", "bot", "timeout"]


class OutcomeRecorded(Placed):
    """How the customer's problem ended; parts of it may come days later, in several events."""

    resolution: Resolution | None = None
    handle_time_s: Annotated[float, Meta(ge=0)] | None = None
    csat: Annotated[float, Meta(ge=1, le=5)] | None = None
    reopened: bool | None = None


class LabelRecorded(Payload):
    """A verified truth about a turn, or about the whole conversation when ``turn_id`` is None."""

    kind: Literal["intent", "satisfaction"]
    value: str
    turn_id: str | None = None
    rater: str | None = None


class TextSynthesized(Payload):
    """A text was made up for an intent out of customers' texts: it is no turn, and no truth to measure on.

    ``sources`` are the texts it was made from, as ``CONVERSATION#TURN``. It is sealed under the keys of all
    ``subjects`` who wrote them, one around the other, the first innermost: once one of them is erased, so is this.
    """

    text: Sealed
    intent: str
    generator: str
    sources: list[str]
    subjects: list[str]


class ModelRegistered(Payload):
    """A trained model version entered the registry.

    ``features`` are the versions of the features it reads, by ``view.feature``, from ``feature_service``;
    ``data_position`` is the log offset up to which its data were read. ``request`` is the JSON of all that was asked
    for: with the same code it makes the same artifact again.
    """

    model: str
    version: str
    artifact_sha256: str
    run_id: str
    dataset: str
    data_fingerprint: str
    commit: str
    seed: int
    metrics: dict[str, float]
    encoder_version: str
    signature: str = ""
    feature_service: str = ""
    features: dict[str, str] = {}
    data_position: int = 0
    request: str = ""


class GateEvaluated(Payload):
    """A validation gate judged the files of a model version; ``reason`` is its verdict in a sentence.

    Gates of one validation share its ``validation_id``. ``seal`` shows that this installation told it.
    """

    model: str
    version: str
    gate: str
    result: GateResult
    evidence: dict[str, float] = {}
    reason: str = ""
    validation_id: str = ""
    artifact_sha256: str = ""
    seal: str = ""


class ValidationEnded(Payload):
    """All gates have judged. ``champion`` is the version it was compared with, empty where there was none.

    ``limits`` are those it was held to, where they are not as shipped; ``data`` names the texts it was measured on.
    """

    model: str
    version: str
    validation_id: str
    artifact_sha256: str
    champion: str
    results: dict[str, GateResult]
    report_sha256: str = ""
    limits: dict[str, float] = {}
    data: str = ""
    seed: int = 0
    seal: str = ""


class RolloutStarted(Payload):
    """A plan began to move traffic to a candidate."""

    rollout_id: str
    model: str
    candidate: str
    plan: str


class SplitChanged(Payload):
    """The share of traffic per model version changed."""

    rollout_id: str
    model: str
    shares: dict[str, Ratio]


class VerdictReached(Payload):
    """The judge compared baseline and candidate."""

    rollout_id: str
    verdict: Literal["pass", "fail", "inconclusive"]
    evidence: dict[str, float] = {}


class RolledBack(Payload):
    """A candidate lost all its traffic."""

    rollout_id: str
    model: str
    reason: str


class Promoted(Payload):
    """An alias is to point at this model version; where it is ``champion``, only if the registry's rule agrees.

    ``replaces`` is the champion it takes the place of. ``required``, ``valid_days`` and ``limits`` are the rule's
    settings of that time, ``evidence`` says what spoke for it, ``reason`` why it was asked for, ``card`` is the model
    card as JSON.
    """

    model: str
    version: str
    alias: str
    evidence: str
    action: Literal["promote", "rollback"] = "promote"
    artifact_sha256: str = ""
    validation_id: str = ""
    replaces: str = ""
    required: tuple[str, ...] = ()
    valid_days: float = 0.0
    limits: dict[str, float] = {}
    by: Actor = Actor(person="")
    reason: str = ""
    card: str = ""
    seal: str = ""


class WaiverRequested(Payload):
    """Someone asked that a version may become champion without one gate of one validation, for so many days."""

    waiver_id: str
    model: str
    version: str
    artifact_sha256: str
    validation_id: str
    gate: str
    days: float
    by: Actor
    reason: str
    seal: str = ""


class WaiverGranted(Payload):
    """A second person agreed to a waiver."""

    waiver_id: str
    model: str
    by: Actor
    seal: str = ""


class WaiverWithdrawn(Payload):
    """A waiver counts no more."""

    waiver_id: str
    model: str
    by: Actor
    reason: str
    seal: str = ""


class AttemptRefused(Payload):
    """Someone tried to change what a model may do, and was refused. ``detail`` is the alias, gate or waiver."""

    action: Literal["promote", "rollback", "waive", "approve", "withdraw"]
    model: str
    version: str
    by: Actor
    why: str
    detail: str = ""
    reason: str = ""
    seal: str = ""


class DriftDetected(Payload):
    """A detector found that incoming data, or its meaning, changed."""

    kind: Literal["seasonal", "emergent", "gradual"]
    detector: str
    segment: str
    statistic: float
    threshold: float


class AlertRaised(Payload):
    """A rule's condition became true."""

    alert_id: str
    rule: str
    severity: Literal["info", "warning", "critical"]
    message: str


class AlertResolved(Payload):
    """A rule's condition is no longer true."""

    alert_id: str


class RetrainingStarted(Payload):
    """A retraining began, for a reason."""

    retraining_id: str
    model: str
    reason: str


class RetrainingEnded(Payload):
    """A retraining ended."""

    retraining_id: str
    result: Literal["candidate", "rejected", "failed"]
    version: str | None = None


class FeatureViewApplied(Payload):
    """A version of a feature view went live. ``definition`` is the view as JSON, ``commit`` the code it came from."""

    name: str
    version: str
    definition: str
    commit: str


class FeatureViewRemoved(Payload):
    """A version of a feature view is computed no more."""

    name: str
    version: str


class FeatureServiceApplied(Payload):
    """What one model reads was declared. ``definition`` is the service as JSON."""

    name: str
    version: str
    definition: str
    commit: str


class FeatureServiceRemoved(Payload):
    """No model is to read this service any more."""

    name: str


class FeaturesVerified(Payload):
    """Served feature values were computed again from the log, for decisions up to the offset ``position``."""

    position: int
    checked: int
    mismatched: int


class JobQueued(Payload):
    """Work was asked for. ``spec`` is the JSON of a job spec, ``spec_sha256`` its identity."""

    job_id: str
    spec: str
    spec_sha256: str


class JobStarted(Payload):
    """An attempt of a job began; its launcher finds it again by ``handle``."""

    job_id: str
    attempt: int
    launcher: str
    handle: str


class JobAdopted(Payload):
    """A worker found a running attempt again that another worker had started."""

    job_id: str
    attempt: int
    worker: str


class JobRequeued(Payload):
    """An attempt failed, or was lost with the machine; the next one starts at ``due_time``."""

    job_id: str
    attempt: int
    reason: str
    due_time: int
    exit_code: int | None = None
    lost: bool = False


class JobCancelRequested(Payload):
    """Someone wants a job to end."""

    job_id: str


class JobEnded(Payload):
    """A job is over. ``reason`` says why, where it did not succeed."""

    job_id: str
    result: JobResult
    attempt: int = 0
    exit_code: int | None = None
    reason: str = ""


class SubjectErased(Payload):
    """A subject's key was destroyed: its texts are unreadable everywhere."""

    requested_by: str
    reason: str


AnyPayload = (
    ConversationStarted
    | TurnReceived
    | DecisionServed
    | DecisionShadowed
    | SuggestionShown
    | FeedbackRecorded
    | HandoffRequested
    | HandoffAccepted
    | ConversationEnded
    | OutcomeRecorded
    | LabelRecorded
    | TextSynthesized
    | ModelRegistered
    | GateEvaluated
    | ValidationEnded
    | RolloutStarted
    | SplitChanged
    | VerdictReached
    | RolledBack
    | Promoted
    | WaiverRequested
    | WaiverGranted
    | WaiverWithdrawn
    | AttemptRefused
    | DriftDetected
    | AlertRaised
    | AlertResolved
    | RetrainingStarted
    | RetrainingEnded
    | FeatureViewApplied
    | FeatureViewRemoved
    | FeatureServiceApplied
    | FeatureServiceRemoved
    | FeaturesVerified
    | JobQueued
    | JobStarted
    | JobAdopted
    | JobRequeued
    | JobCancelRequested
    | JobEnded
    | SubjectErased
)


CONTROL = frozenset(
    {
        "ModelRegistered",
        "GateEvaluated",
        "ValidationEnded",
        "RolloutStarted",
        "SplitChanged",
        "VerdictReached",
        "RolledBack",
        "Promoted",
        "WaiverRequested",
        "WaiverGranted",
        "WaiverWithdrawn",
        "AttemptRefused",
        "DriftDetected",
        "AlertRaised",
        "AlertResolved",
        "RetrainingStarted",
        "RetrainingEnded",
        "FeatureViewApplied",
        "FeatureViewRemoved",
        "FeatureServiceApplied",
        "FeatureServiceRemoved",
        "FeaturesVerified",
        "JobQueued",
        "JobStarted",
        "JobAdopted",
        "JobRequeued",
        "JobCancelRequested",
        "JobEnded",
    }
)
"""Types of events that belong to no conversation; there are few of them, and a log finds them without looking through
the others."""


class Event(Struct, frozen=True, kw_only=True):
    """The envelope of everything that happens.

    Attributes:
        event_id: UUIDv7, or UUIDv8 where the same news may be told twice; appending it again adds nothing.
        event_time: When it happened; may be late or out of order.
        subject: Whose key seals the texts: the customer, else the conversation; for control
            events the thing they are about (``model:intent``).
        conversation_id: The conversation it belongs to, if any.
        source: Who said so: ``api``, ``import:NAME``, ``train``.
        append_time: When the log recorded it; the log stamps it.
    """

    event_id: UUID
    event_time: int
    subject: str
    source: str
    payload: AnyPayload
    conversation_id: str | None = None
    schema_version: int = 1
    append_time: int = 0

    @property
    def type(self) -> str:
        """The payload's class name, e.g. ``TurnReceived``."""
        return type(self.payload).__name__
