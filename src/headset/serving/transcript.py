"""A conversation as people read it: turns, decisions, handoff and outcome, with texts opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from headset.core.clock import iso
from headset.core.errors import NotFound, TextErased
from headset.events.schema import (
    ConversationEnded,
    ConversationStarted,
    DecisionServed,
    FeedbackRecorded,
    HandoffAccepted,
    HandoffRequested,
    OutcomeRecorded,
    Route,
    RouteReason,
    Speaker,
    TurnReceived,
)
from headset.serving.decision import describe
from headset.serving.replies import suggested_texts
from headset.serving.request import Handoff

if TYPE_CHECKING:
    from collections.abc import Iterable

    from headset.events.log import Log, Record
    from headset.events.schema import Sealed
    from headset.events.vault import Vault


class TranscriptDecision(Struct):
    """A decision and what the agent said of it."""

    decision_id: str
    model_version: str
    intent: str | None
    confidence: float
    route: Route
    reason: RouteReason
    suggestions: list[str]
    degraded: bool
    feedback: str | None = None
    correct_intent: str | None = None


class TranscriptTurn(Struct):
    """One turn, with its decision when a customer spoke."""

    turn_id: str
    position: int
    speaker: Speaker
    text: str
    event_time: str
    sentiment: float | None
    decision: TranscriptDecision | None = None


class Transcript(Struct):
    """One conversation from its first turn to its outcome. ``outcome`` merges its parts, newest last."""

    conversation_id: str
    started: str
    channel: str = ""
    queue: str = ""
    language: str = ""
    customer_id: str | None = None
    turns: list[TranscriptTurn] = []
    handoff: Handoff | None = None
    accepted_by: str | None = None
    ended_by: str | None = None
    outcome: dict[str, str | float | bool] = {}


def read_transcript(log: Log, vault: Vault, conversation_id: str) -> Transcript:
    """Tell a conversation from its events; erased texts read ``[erased]``.

    Raises:
        NotFound: nobody has said anything in it.
    """
    records = log.conversation(conversation_id)
    if not records:
        raise NotFound("conversation_id", f"{conversation_id[:128]!r} is unknown; post its first turn to begin it")
    transcript = Transcript(conversation_id, iso(records[0].event.event_time))
    turns: dict[str, TranscriptTurn] = {}
    for record in records:
        _tell(transcript, turns, record, log, vault)
    transcript.turns = sorted(turns.values(), key=lambda turn: turn.position)
    return transcript


def _tell(transcript: Transcript, turns: dict[str, TranscriptTurn], record: Record, log: Log, vault: Vault) -> None:
    event = record.event
    payload, subject = event.payload, event.subject
    match payload:
        case ConversationStarted():
            transcript.channel, transcript.queue = payload.channel, payload.queue
            transcript.language, transcript.customer_id = payload.language, payload.customer_id
        case TurnReceived():
            turns[payload.turn_id] = TranscriptTurn(
                payload.turn_id,
                payload.position,
                payload.speaker,
                _open(vault, subject, payload.text),
                iso(event.event_time),
                payload.sentiment,
            )
        case DecisionServed() if payload.turn_id in turns:
            turns[payload.turn_id].decision = TranscriptDecision(
                payload.decision_id,
                payload.model_version,
                payload.intent,
                payload.confidence,
                payload.route,
                payload.reason,
                suggested_texts(log, vault, payload),
                payload.degraded,
            )
        case FeedbackRecorded():
            _tell_feedback(turns.values(), payload)
        case HandoffRequested() if transcript.handoff is None:
            transcript.handoff = describe(payload, _open(vault, subject, payload.summary))
        case HandoffAccepted():
            transcript.accepted_by = transcript.accepted_by or payload.agent_id
        case ConversationEnded():
            transcript.ended_by = payload.ended_by
        case OutcomeRecorded():
            parts = {
                "resolution": payload.resolution,
                "handle_time_s": payload.handle_time_s,
                "csat": payload.csat,
                "reopened": payload.reopened,
            }
            transcript.outcome |= {name: value for name, value in parts.items() if value is not None}
        case _:
            pass


def _tell_feedback(turns: Iterable[TranscriptTurn], payload: FeedbackRecorded) -> None:
    for turn in turns:
        if turn.decision is not None and turn.decision.decision_id == payload.decision_id:
            turn.decision.feedback = payload.action
            turn.decision.correct_intent = payload.intent


def _open(vault: Vault, subject: str, sealed: Sealed) -> str:
    try:
        return vault.open(subject, sealed)
    except TextErased:
        return "[erased]"
