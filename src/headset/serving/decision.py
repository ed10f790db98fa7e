"""A customer turn in, a decision out: admitted, predicted, routed, kept, answered.

Everything the decision needs is in memory; the only wait is for the model's batch and for the log's
sync. A model that fails costs a degraded decision routed to a person, never an error to the caller.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from headset.core.clock import MICROSECONDS, iso
from headset.core.errors import Conflict, InvalidInput, ModelFailed, Overloaded
from headset.core.ids import stable_id
from headset.events.schema import (
    ConversationStarted,
    DecisionServed,
    Event,
    HandoffRequested,
    TurnReceived,
)
from headset.events.subject import subject_of
from headset.serving.conversation import Conversation
from headset.serving.moment import claimed_time
from headset.serving.policy import Routing, route_turn
from headset.serving.request import Decision, Handoff, TurnKept

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from headset.core.clock import Clock
    from headset.core.config import Config
    from headset.core.ids import Ids
    from headset.events.door import Admitted, Door
    from headset.events.schema import AnyPayload
    from headset.serving.conversation import Conversations
    from headset.serving.prediction import Prediction
    from headset.serving.replies import Suggestion
    from headset.serving.request import TurnRequest

SOURCE = "api"


class _Turn(NamedTuple):
    conversation: Conversation
    turn_id: str
    position: int
    event_time: int
    opening: ConversationStarted | None


class DecisionService:
    """Decides turns of the conversations it holds; for use on one event loop.

    Args:
        door: Admits texts.
        append: Keeps events durably (``Log.append`` for asyncio).
        conversations: State of the conversations.
        predict: One prediction for one text; raises :class:`ModelFailed`.
    """

    def __init__(
        self,
        *,
        door: Door,
        append: Callable[[Sequence[Event]], Awaitable[list[int]]],
        conversations: Conversations,
        predict: Callable[[str], Awaitable[Prediction]],
        clock: Clock,
        ids: Ids,
        config: Config,
    ) -> None:
        self._door = door
        self._append = append
        self._conversations = conversations
        self._predict = predict
        self._clock = clock
        self._ids = ids
        self._config = config.decision
        self._waiting_limit = config.server.waiting_limit
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Turns in progress."""
        return self._waiting

    async def decide(self, conversation_id: str, request: TurnRequest) -> Decision | TurnKept:
        """Take one turn in and answer it.

        Raises:
            InvalidInput: the text, a time or the number of turns is outside its limits.
            Conflict: the turn id is taken, or the conversation has ended.
            Overloaded: too many turns are in progress.
            StorageFailed: the events could not be kept; nothing was acknowledged.
        """
        if self._waiting >= self._waiting_limit:
            raise Overloaded(f"{self._waiting} turns are in progress, the limit is {self._waiting_limit}")
        self._waiting += 1
        try:
            started = self._clock.monotonic()
            subject = self._subject(conversation_id, request)
            admitted = self._door.admit(subject, request.text)
            turn = self._reserve(conversation_id, subject, request)
            try:
                if request.speaker == "customer":
                    return await self._decided(turn, admitted, started)
                return await self._kept(turn, admitted, request)
            except BaseException:
                self._conversations.forget(conversation_id)
                raise
        finally:
            self._waiting -= 1

    def _subject(self, conversation_id: str, request: TurnRequest) -> str:
        held = self._conversations.get(conversation_id)
        if held is None:
            return subject_of(conversation_id, request.customer_id)
        if request.customer_id is not None and request.customer_id != held.customer_id:
            raise Conflict(
                "customer_id", f"is {request.customer_id!r}, the conversation began with {held.customer_id!r}"
            )
        return held.subject

    def _reserve(self, conversation_id: str, subject: str, request: TurnRequest) -> _Turn:
        now = self._clock.now()
        earliest = now - round(self._config.clock_behind_s * MICROSECONDS)
        event_time = claimed_time(request.event_time, now, ahead_s=self._config.clock_ahead_s, earliest=earliest)
        conversation, opening = self._conversations.get(conversation_id), None
        if conversation is None:
            opening = ConversationStarted(
                channel=request.channel,
                queue=request.queue,
                language=request.language,
                customer_id=request.customer_id,
                attributes=request.attributes,
            )
            conversation = Conversation(
                conversation_id,
                subject,
                event_time,
                channel=request.channel,
                queue=request.queue,
                language=request.language,
                customer_id=request.customer_id,
            )
            self._conversations.add(conversation)
        if conversation.ended:
            raise Conflict("conversation_id", f"{conversation_id!r} has ended; start a new conversation")
        position = len(conversation.turns)
        turn_id = request.turn_id or str(position + 1)
        if turn_id in conversation.turns:
            raise Conflict("turn_id", _taken(turn_id, conversation.turns[turn_id]))
        if position >= self._config.turn_limit:
            raise InvalidInput("turn_id", f"would be turn {position + 1}, the limit is {self._config.turn_limit} turns")
        conversation.turns[turn_id] = None
        return _Turn(conversation, turn_id, position, event_time, opening)

    async def _kept(self, turn: _Turn, admitted: Admitted, request: TurnRequest) -> TurnKept:
        conversation = turn.conversation
        conversation.heard(request.speaker, admitted.text)
        received = _received(turn, admitted, request.speaker, request.speaker_id, None)
        await self._append([*self._opening(turn), self._event(turn, received)])
        return TurnKept(conversation.conversation_id, turn.turn_id, turn.position)

    async def _decided(self, turn: _Turn, admitted: Admitted, started: float) -> Decision:
        conversation = turn.conversation
        try:
            prediction, error = await self._predict(admitted.text), None
        except ModelFailed as failure:
            prediction, error = None, str(failure)
        conversation.heard("customer", admitted.text)
        routing = self._route(admitted.text, prediction, conversation)
        suggestions = prediction.suggestions if prediction else []
        decision_id = stable_id("decision", conversation.conversation_id, turn.turn_id)
        served = DecisionServed(
            decision_id=str(decision_id),
            turn_id=turn.turn_id,
            position=turn.position,
            model=self._config.model,
            model_version=prediction.model_version if prediction else "",
            arm="champion",
            intent=prediction.intent if prediction else None,
            confidence=prediction.confidence if prediction else 0.0,
            route=routing.route,
            reason=routing.reason,
            latency_ms=round((self._clock.monotonic() - started) * 1000, 3),
            alternatives=prediction.alternatives if prediction else [],
            scope=prediction.scope if prediction else None,
            sentiment=prediction.sentiment if prediction else None,
            suggestions=[suggestion.reply_id for suggestion in suggestions],
            feature_versions=prediction.feature_versions if prediction else {},
            feature_hash=_feature_hash(turn, admitted.text, prediction),
            degraded=error is not None,
            error=error,
        )
        handoff = self._handoff(turn, served)
        received = _received(turn, admitted, "customer", conversation.customer_id, served.sentiment)
        events = [
            *self._opening(turn),
            self._event(turn, received),
            Event(
                event_id=decision_id,
                event_time=self._clock.now(),
                subject=conversation.subject,
                conversation_id=conversation.conversation_id,
                source=SOURCE,
                payload=served,
            ),
        ]
        if handoff is not None:
            sealed, _ = handoff
            events.append(self._event(turn, sealed))
        await self._append(events)
        for event in events[-2 if handoff else -1 :]:
            conversation.fold(event, None)
        return _answer(conversation.conversation_id, served, suggestions, handoff)

    def _route(self, text: str, prediction: Prediction | None, conversation: Conversation) -> Routing:
        if prediction is None:
            return Routing("human", "model_error")
        return route_turn(
            text=text,
            intent=prediction.intent,
            confidence=prediction.confidence,
            threshold=prediction.threshold,
            sentiment=prediction.sentiment,
            handed_off=conversation.handoff is not None,
            config=self._config,
        )

    def _handoff(self, turn: _Turn, served: DecisionServed) -> tuple[HandoffRequested, str] | None:
        conversation = turn.conversation
        if served.route == "bot" or conversation.handoff is not None:
            return None
        summary = conversation.summary()
        requested = HandoffRequested(
            decision_id=served.decision_id,
            queue=conversation.queue,
            reason=served.reason,
            summary=self._door.admit(conversation.subject, summary, field="summary").sealed,
            steps_tried=list(conversation.steps),
            due_time=self._clock.now() + round(self._config.sla_s * MICROSECONDS),
        )
        conversation.handoff = requested
        return requested, summary

    def _opening(self, turn: _Turn) -> list[Event]:
        return [] if turn.opening is None else [self._event(turn, turn.opening)]

    def _event(self, turn: _Turn, payload: AnyPayload) -> Event:
        conversation_id = turn.conversation.conversation_id
        match payload:
            case ConversationStarted():
                event_id = stable_id("started", conversation_id)
            case TurnReceived():
                event_id = stable_id("turn", conversation_id, turn.turn_id)
            case _:
                event_id = self._ids.new()
        return Event(
            event_id=event_id,
            event_time=turn.event_time,
            subject=turn.conversation.subject,
            conversation_id=conversation_id,
            source=SOURCE,
            payload=payload,
        )


def _received(
    turn: _Turn, admitted: Admitted, speaker: str, speaker_id: str | None, sentiment: float | None
) -> TurnReceived:
    return TurnReceived(
        turn_id=turn.turn_id,
        position=turn.position,
        speaker=speaker,  # type: ignore[arg-type] # checked when the request was read
        text=admitted.sealed,
        speaker_id=speaker_id,
        sentiment=sentiment,
        redactions=admitted.redactions,
    )


def _feature_hash(turn: _Turn, text: str, prediction: Prediction | None) -> str:
    """First 16 hexadecimal digits of the SHA-256 over the versions and values the decision was made from."""
    conversation = turn.conversation
    values = (
        prediction and (prediction.feature_versions, prediction.sentiment),
        conversation.channel,
        conversation.queue,
        conversation.language,
        turn.position,
        len(text),
    )
    return hashlib.sha256(msgspec.json.encode(values)).hexdigest()[:16]


def _answer(
    conversation_id: str,
    served: DecisionServed,
    suggestions: Sequence[Suggestion],
    handoff: tuple[HandoffRequested, str] | None,
) -> Decision:
    return Decision(
        decision_id=served.decision_id,
        conversation_id=conversation_id,
        turn_id=served.turn_id,
        position=served.position,
        model=served.model,
        model_version=served.model_version,
        arm=served.arm,
        intent=served.intent,
        confidence=served.confidence,
        alternatives=served.alternatives,
        sentiment=served.sentiment,
        route=served.route,
        reason=served.reason,
        suggestions=[suggestion.text for suggestion in suggestions],
        feature_hash=served.feature_hash,
        latency_ms=served.latency_ms,
        degraded=served.degraded,
        error=served.error,
        handoff=handoff and describe(handoff[0], handoff[1]),
    )


def describe(requested: HandoffRequested, summary: str) -> Handoff:
    """A handoff as callers see it, with its summary opened."""
    return Handoff(requested.queue, requested.reason, summary, requested.steps_tried, iso(requested.due_time))


def _taken(turn_id: str, decision_id: str | None) -> str:
    known = f", answered by decision {decision_id}" if decision_id else ""
    return f"{turn_id!r} was already received in this conversation{known}; send each turn once"
