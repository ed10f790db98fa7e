"""A customer turn in, a decision out: admitted, predicted, routed, kept, answered.

What the decision needs is in memory (a conversation that is not comes back from the log once); it waits for the
conversation's earlier turns, for the model's batch and for the log's sync. A model that fails costs a degraded
decision routed to a person, never an error to the caller.
"""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from headset.core.clock import MICROSECONDS, iso
from headset.core.errors import Conflict, InvalidInput, ModelFailed, Overloaded
from headset.core.ids import stable_id
from headset.events.door import check_label
from headset.events.place import placed, segment_of
from headset.events.schema import (
    ConversationStarted,
    DecisionServed,
    Event,
    HandoffRequested,
    TurnReceived,
)
from headset.events.subject import subject_of
from headset.features.served import feature_hash
from headset.features.signal import pack
from headset.serving.conversation import Conversation
from headset.serving.moment import claimed_time
from headset.serving.policy import Routing, route_turn
from headset.serving.prediction import CustomerTurn
from headset.serving.request import Decision, Handoff, TurnKept
from headset.serving.shadow import Answered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from headset.core.clock import Clock
    from headset.core.config import Config
    from headset.events.door import Admitted, Door
    from headset.events.schema import AnyPayload
    from headset.events.vault import Vault
    from headset.features.fact import Entity
    from headset.serving.conversation import Conversations
    from headset.serving.prediction import Prediction
    from headset.serving.replies import Suggestion
    from headset.serving.request import TurnRequest
    from headset.serving.risk import Risk

SOURCE = "api"


class _Turn(NamedTuple):
    """A turn that may be taken: what is known of its conversation, and its place in it."""

    conversation: Conversation
    turn_id: str
    event_time: int
    begins: bool = False

    @property
    def position(self) -> int:
        return len(self.conversation.turns)

    @property
    def keys(self) -> dict[Entity, str]:
        """Who and what it is about."""
        told = self.conversation
        keys: dict[Entity, str | None] = {
            "conversation": told.conversation_id,
            "customer": told.customer_id,
            "agent": told.agent_id,
            "queue": told.queue,
            "segment": told.segment,
        }
        return {entity: key for entity, key in keys.items() if key is not None}

    @property
    def columns(self) -> dict[str, Any]:
        """What its request says, for on-demand features."""
        told = self.conversation
        return {
            "event_time": self.event_time / MICROSECONDS,
            "position": self.position,
            "channel": told.channel,
            "queue": told.queue,
            "language": told.language,
            "segment": told.segment,
        }


class Decider(Protocol):
    """What decides turns: a registered model in use."""

    @property
    def name(self) -> str:
        """Of the registered model."""
        ...

    async def predict(self, turn: CustomerTurn) -> Prediction:
        """The prediction for one turn.

        Raises:
            ModelFailed: there is none.
        """
        ...


class DecisionService:
    """Decides turns; those of one conversation one after another, on one event loop.

    Args:
        door: Admits texts.
        vault: Opens the texts a handoff's summary is made of.
        append: Keeps events durably (``Log.append`` for asyncio).
        conversations: State of the conversations.
        model_of: The model that decides in a queue, by the queue's name.
        watch: Told of each decision once it is durable; returns at once.
    """

    def __init__(
        self,
        *,
        door: Door,
        vault: Vault,
        append: Callable[[Sequence[Event]], Awaitable[list[int]]],
        conversations: Conversations,
        model_of: Callable[[str], Decider],
        watch: Callable[[Answered], None],
        clock: Clock,
        config: Config,
    ) -> None:
        self._door = door
        self._vault = vault
        self._append = append
        self._conversations = conversations
        self._model_of = model_of
        self._watch = watch
        self._clock = clock
        self._config = config.decision
        self._limit = config.server.in_progress_limit
        self.in_progress = 0

    async def decide(self, conversation_id: str, request: TurnRequest) -> Decision | TurnKept:
        """Take one turn in and answer it.

        Raises:
            InvalidInput: the text, a time or the number of turns is outside its limits.
            Conflict: the turn id is taken, or the conversation has ended.
            Overloaded: too many turns are in progress.
            StorageFailed: the events could not be kept; nothing was acknowledged.
        """
        if self.in_progress >= self._limit:
            raise Overloaded(f"{self.in_progress} turns are in progress, the limit is {self._limit}")
        started = self._clock.monotonic()
        self.in_progress += 1
        try:
            async with self._conversations.alone(conversation_id) as held:
                turn = self._place(conversation_id, held, request)
                admitted = self._door.admit(turn.conversation.subject, request.text)
                if request.speaker == "customer":
                    return await self._decided(turn, request, admitted, started)
                return await self._kept(turn, request, admitted)
        finally:
            self.in_progress -= 1

    def _place(self, conversation_id: str, held: Conversation | None, request: TurnRequest) -> _Turn:
        now = self._clock.now()
        earliest = now - round(self._config.clock_behind_s * MICROSECONDS)
        event_time = claimed_time(request.event_time, now, ahead_s=self._config.clock_ahead_s, earliest=earliest)
        if held is None:
            _check_labels(request)
            conversation = _begun(conversation_id, request, event_time)
            return _Turn(conversation, request.turn_id or "1", event_time, begins=True)
        if request.customer_id not in {None, held.customer_id}:
            raise Conflict(
                "customer_id", f"is {request.customer_id!r}, the conversation began with {held.customer_id!r}"
            )
        if held.ended:
            raise Conflict("conversation_id", f"{conversation_id!r} has ended; start a new conversation")
        if request.turn_id is not None and request.turn_id in held.turns:
            raise Conflict("turn_id", _taken(request.turn_id, held.turns[request.turn_id]))
        limit = self._config.turn_limit
        if len(held.turns) >= limit:
            raise InvalidInput("turn_id", f"would be turn {len(held.turns) + 1}, the limit is {limit} turns")
        numbers = map(str, count(len(held.turns) + 1))
        turn_id = request.turn_id or next(number for number in numbers if number not in held.turns)
        return _Turn(held, turn_id, event_time)

    async def _kept(self, turn: _Turn, request: TurnRequest, admitted: Admitted) -> TurnKept:
        position = turn.position
        await self._keep(turn, request, [self._event(turn, self._received(turn, request, admitted, None))])
        return TurnKept(turn.conversation.conversation_id, turn.turn_id, position)

    async def _decided(self, turn: _Turn, request: TurnRequest, admitted: Admitted, started: float) -> Decision:
        asked = CustomerTurn(admitted.text, turn.keys, turn.event_time - 1, turn.columns)
        model = self._model_of(turn.conversation.queue)
        try:
            prediction, error = await model.predict(asked), None
        except ModelFailed as failure:
            prediction, error = None, str(failure)
        risk = prediction.risk if prediction else None
        if risk is not None and risk.problem:
            error = f"features: {risk.problem}"
        conversation_id = turn.conversation.conversation_id
        route = partial(
            self._route,
            text=admitted.text,
            handed_off=turn.conversation.handoff is not None,
            at_risk=risk is not None and risk.is_high,
        )
        routing = route(prediction)
        suggestions = prediction.suggestions if prediction else []
        decision_id = stable_id("decision", conversation_id, turn.turn_id)
        served = DecisionServed(
            decision_id=str(decision_id),
            turn_id=turn.turn_id,
            position=turn.position,
            model=model.name,
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
            feature_versions=_feature_versions(prediction, risk),
            feature_hash=_feature_hash(turn, prediction, risk),
            feature_position=risk.feature_position if risk else 0,
            risk=risk.probability if risk else None,
            risk_version=risk.model_version if risk else "",
            degraded=error is not None,
            error=error,
        )
        decided = self._event(turn, served)
        events = [self._event(turn, self._received(turn, request, admitted, prediction)), decided]
        handoff = self._handoff(turn, served, admitted.text)
        if handoff is not None:
            events.append(self._event(turn, handoff[0]))
        await self._keep(turn, request, events)
        self._watch(Answered(asked, decided, route))
        return _answer(conversation_id, served, suggestions, handoff)

    def _received(
        self, turn: _Turn, request: TurnRequest, admitted: Admitted, prediction: Prediction | None
    ) -> TurnReceived:
        signals = prediction.feature_values if prediction else {}
        versions = prediction.feature_versions if prediction else {}
        embedding = signals.get("embedding")
        return TurnReceived(
            turn_id=turn.turn_id,
            position=turn.position,
            speaker=request.speaker,
            text=admitted.sealed,
            speaker_id=request.speaker_id,
            sentiment=signals.get("sentiment"),
            sentiment_version=versions.get("sentiment", ""),
            embedding=None if embedding is None else self._vault.seal_bytes(turn.conversation.subject, pack(embedding)),
            encoder_version=versions.get("embedding", ""),
            redactions=admitted.redactions,
        )

    async def _keep(self, turn: _Turn, request: TurnRequest, events: list[Event]) -> None:
        """Append, then fold: what is in memory is durable."""
        if turn.begins:
            started = ConversationStarted(
                channel=request.channel,
                queue=request.queue,
                language=request.language,
                customer_id=request.customer_id,
                attributes=request.attributes,
                segment=turn.conversation.segment,
            )
            events = [self._event(turn, started), *events]
        await self._append(events)
        self._conversations.fold(None if turn.begins else turn.conversation, events)

    def _route(self, prediction: Prediction | None, *, text: str, handed_off: bool, at_risk: bool) -> Routing:
        if prediction is None:
            return Routing("human", "model_error")
        return route_turn(
            text=text,
            intent=prediction.intent,
            confidence=prediction.confidence,
            threshold=prediction.threshold,
            sentiment=prediction.sentiment,
            handed_off=handed_off,
            at_risk=at_risk,
            config=self._config,
        )

    def _handoff(self, turn: _Turn, served: DecisionServed, text: str) -> tuple[HandoffRequested, str] | None:
        conversation = turn.conversation
        if served.route == "bot" or conversation.handoff is not None:
            return None
        summary = conversation.summary(self._vault, text)
        requested = HandoffRequested(
            decision_id=served.decision_id,
            queue=conversation.queue,
            reason=served.reason,
            summary=self._door.admit(conversation.subject, summary, field="summary").sealed,
            steps_tried=list(conversation.steps),
            due_time=self._clock.now() + round(self._config.sla_s * MICROSECONDS),
        )
        return requested, summary

    def _event(self, turn: _Turn, payload: AnyPayload) -> Event:
        """The event, with an id that is the same however often the turn is told."""
        conversation_id, event_time = turn.conversation.conversation_id, turn.event_time
        match payload:
            case ConversationStarted():
                event_id = stable_id("started", conversation_id)
            case TurnReceived():
                event_id = stable_id("turn", conversation_id, turn.turn_id)
            case DecisionServed():
                event_id, event_time = stable_id("decision", conversation_id, turn.turn_id), self._clock.now()
            case _:
                event_id, event_time = stable_id("handoff", conversation_id), self._clock.now()
        return Event(
            event_id=event_id,
            event_time=event_time,
            subject=turn.conversation.subject,
            conversation_id=conversation_id,
            source=SOURCE,
            payload=placed(payload, turn.conversation.queue, turn.conversation.segment),
        )


def _begun(conversation_id: str, request: TurnRequest, event_time: int) -> Conversation:
    """A conversation whose first turn is being taken; it is held once that turn is durable."""
    return Conversation(
        conversation_id,
        subject_of(conversation_id, request.customer_id),
        event_time,
        channel=request.channel,
        queue=request.queue,
        language=request.language,
        customer_id=request.customer_id,
        segment=segment_of(request.attributes),
    )


def _check_labels(request: TurnRequest) -> None:
    check_label(request.channel, field="channel")
    check_label(request.queue, field="queue")
    for name, value in request.attributes.items():
        check_label(value, field=f"attributes.{name}")


def _feature_versions(prediction: Prediction | None, risk: Risk | None) -> dict[str, str]:
    return {**(prediction.feature_versions if prediction else {}), **(risk.feature_versions if risk else {})}


def _feature_hash(turn: _Turn, prediction: Prediction | None, risk: Risk | None) -> str:
    """The hash of all that the decision was made from."""
    signals = prediction.feature_values if prediction else {}
    values = {**turn.columns, **signals, **(risk.feature_values if risk else {})}
    return feature_hash(_feature_versions(prediction, risk), values)


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
        risk=served.risk,
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
