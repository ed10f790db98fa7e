"""What callers send and receive over HTTP: names, types and limits, and no behaviour."""

from __future__ import annotations

from typing import Annotated, Literal, dataclass_transform

from msgspec import Meta, Struct

from headset.events.schema import Alternative, Arm, FeedbackAction, Resolution, Route, RouteReason, Speaker

Identifier = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,128}$(?!\n)", description="Opaque: no names, addresses or card numbers")
]
Label = Annotated[
    str, Meta(pattern=r"^[^\x00-\x1f\x7f]{1,128}$(?!\n)", description="A name from your own list, kept as it is")
]
Moment = Annotated[str, Meta(max_length=64, description="ISO 8601 with a zone; the server's clock when left out")]


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body: unknown names are refused, so that a misspelt field is never ignored."""


class TurnRequest(Request):
    """Something said. ``channel`` to ``attributes`` describe the conversation and count on its first turn."""

    text: str
    turn_id: Identifier | None = None
    speaker: Speaker = "customer"
    speaker_id: Identifier | None = None
    event_time: Moment | None = None
    channel: Label = "chat"
    queue: Label = "default"
    language: Annotated[str, Meta(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$(?!\n)")] = "en"
    customer_id: Identifier | None = None
    attributes: Annotated[dict[Identifier, Label], Meta(max_length=32)] = {}


class ShownRequest(Request):
    """An agent's screen displayed the suggestions."""

    agent_id: Identifier
    event_time: Moment | None = None


class FeedbackRequest(Request):
    """What the agent did. ``intent`` is the right one, when the agent knows it; ``reply`` what was sent."""

    action: FeedbackAction
    agent_id: Identifier
    intent: Label | None = None
    reply: str | None = None
    conversation_id: Identifier | None = None
    event_time: Moment | None = None


class EndRequest(Request):
    """The conversation is over."""

    ended_by: Literal["customer", "agent", "bot", "timeout"] = "customer"
    event_time: Moment | None = None


class AcceptRequest(Request):
    """An agent takes a handed-off conversation."""

    agent_id: Identifier
    event_time: Moment | None = None


class OutcomeRequest(Request):
    """How it ended; every field may come later, in a request of its own. ``csat`` is 1 to 5."""

    resolution: Resolution | None = None
    handle_time_s: Annotated[float, Meta(ge=0, le=86_400 * 30)] | None = None
    csat: Annotated[float, Meta(ge=1, le=5)] | None = None
    reopened: bool | None = None
    event_time: Moment | None = None


class Handoff(Struct, frozen=True):
    """What the agent gets with a conversation. ``due_time`` is when the service-level clock runs out."""

    queue: str
    reason: RouteReason
    summary: str
    steps_tried: list[str]
    due_time: str


class Decision(Struct, frozen=True):
    """The answer to a customer turn. ``risk`` is the probability that the conversation ends badly, 0 to 1."""

    decision_id: str
    conversation_id: str
    turn_id: str
    position: int
    model: str
    model_version: str
    arm: Arm
    intent: str | None
    confidence: float
    alternatives: list[Alternative]
    sentiment: float | None
    risk: float | None
    route: Route
    reason: RouteReason
    suggestions: list[str]
    feature_hash: str
    latency_ms: float
    degraded: bool
    error: str | None
    handoff: Handoff | None


class TurnKept(Struct, frozen=True):
    """The answer to an agent's or bot's turn, about which nothing is decided."""

    conversation_id: str
    turn_id: str
    position: int


class Receipt(Struct, frozen=True):
    """Kept durably, under this event id."""

    event_id: str
