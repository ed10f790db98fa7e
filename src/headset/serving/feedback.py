"""What people say of decisions and conversations: shown, feedback, handoff accepted, ended, outcome."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

from headset.core.clock import MICROSECONDS
from headset.core.errors import Conflict, InvalidInput, NotFound
from headset.core.ids import stable_id
from headset.events.door import check_label
from headset.events.place import placed
from headset.events.schema import (
    ConversationEnded,
    DecisionServed,
    Event,
    FeedbackRecorded,
    HandoffAccepted,
    OutcomeRecorded,
    SuggestionShown,
)
from headset.feedback.edit_distance import edit_distance
from headset.serving.decision import SOURCE
from headset.serving.moment import claimed_time
from headset.serving.replies import suggested_texts
from headset.serving.request import Receipt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from headset.core.clock import Clock
    from headset.core.config import DecisionConfig
    from headset.core.ids import Ids
    from headset.events.door import Door
    from headset.events.log import Log
    from headset.events.schema import AnyPayload
    from headset.events.vault import Vault
    from headset.serving.conversation import Conversation, Conversations
    from headset.serving.request import AcceptRequest, EndRequest, FeedbackRequest, OutcomeRequest, ShownRequest


class FeedbackService:
    """Keeps what agents do and how conversations end; for use on one event loop.

    Every method raises ``NotFound`` for an unknown decision or conversation, ``InvalidInput`` for a time
    outside its limits, and ``StorageFailed`` when nothing could be kept.
    """

    def __init__(
        self,
        *,
        log: Log,
        vault: Vault,
        door: Door,
        append: Callable[[Sequence[Event]], Awaitable[list[int]]],
        conversations: Conversations,
        clock: Clock,
        ids: Ids,
        config: DecisionConfig,
    ) -> None:
        self._log = log
        self._vault = vault
        self._door = door
        self._append = append
        self._conversations = conversations
        self._clock = clock
        self._ids = ids
        self._config = config

    async def show(self, decision_id: str, request: ShownRequest) -> Receipt:
        """An agent saw the suggestions; telling it twice changes nothing."""
        event, decision = await self._decision(decision_id)
        if not decision.suggestions:
            raise Conflict("decision_id", f"{decision_id!r} suggested nothing, so nothing was shown")
        shown = self._event(
            event.subject,
            event.conversation_id,
            SuggestionShown(decision_id=decision.decision_id, agent_id=request.agent_id),
            self._time(request.event_time, event.event_time),
            event_id=stable_id("shown", decision.decision_id, request.agent_id),
        )
        return await self._keep(shown)

    async def record(self, decision_id: str, request: FeedbackRequest) -> Receipt:
        """What the agent did with a decision; the newest word counts.

        Raises:
            Conflict: the decision belongs to another conversation, or another agent has the conversation.
            InvalidInput: the action needs a field that is missing, or contradicts the decision.
        """
        event, decision = await self._decision(decision_id)
        async with self._conversations.alone(event.conversation_id or "") as conversation:
            _check_owner(event, conversation, request)
        _check_action(decision, request)
        distance, reply = None, None
        if request.reply is not None:
            admitted = self._door.admit(event.subject, request.reply, field="reply")
            reply = admitted.sealed
            if request.action == "edited":
                distance = await self._distance(decision, admitted.text)
        payload = FeedbackRecorded(
            decision_id=decision.decision_id,
            action=request.action,
            agent_id=request.agent_id,
            intent=request.intent,
            reply=reply,
            edit_distance=distance,
            queue=decision.queue,
            segment=decision.segment,
        )
        time = self._time(request.event_time, event.event_time)
        return await self._keep(self._event(event.subject, event.conversation_id, payload, time))

    async def accept(self, conversation_id: str, request: AcceptRequest) -> Receipt:
        """An agent takes a handed-off conversation; it can be taken once.

        Raises:
            Conflict: no handoff was requested, or another agent has it.
        """
        async with self._conversations.alone(conversation_id) as held:
            conversation = _known(conversation_id, held)
            if conversation.handoff is None:
                raise Conflict("conversation_id", f"{conversation_id!r} was not handed off; the bot still has it")
            if conversation.agent_id not in {None, request.agent_id}:
                raise Conflict("agent_id", f"{conversation.agent_id!r} has this conversation already")
            payload = HandoffAccepted(agent_id=request.agent_id)
            return await self._tell(conversation, payload, request.event_time, stable_id("accepted", conversation_id))

    async def end(self, conversation_id: str, request: EndRequest) -> Receipt:
        """No more turns are expected; ending twice changes nothing."""
        async with self._conversations.alone(conversation_id) as held:
            payload = ConversationEnded(ended_by=request.ended_by)
            event_id = stable_id("ended", conversation_id)
            return await self._tell(_known(conversation_id, held), payload, request.event_time, event_id)

    async def conclude(self, conversation_id: str, request: OutcomeRequest) -> Receipt:
        """How the conversation turned out, in full or in part, now or days later."""
        if all(value is None for value in (request.resolution, request.handle_time_s, request.csat, request.reopened)):
            raise InvalidInput("resolution", "is missing, as are handle_time_s, csat and reopened; send at least one")
        async with self._conversations.alone(conversation_id) as held:
            payload = OutcomeRecorded(
                resolution=request.resolution,
                handle_time_s=request.handle_time_s,
                csat=request.csat,
                reopened=request.reopened,
            )
            return await self._tell(_known(conversation_id, held), payload, request.event_time, self._ids.new())

    async def _decision(self, decision_id: str) -> tuple[Event, DecisionServed]:
        try:
            record = await asyncio.to_thread(self._log.get, UUID(decision_id))
        except ValueError:
            raise InvalidInput("decision_id", f"{decision_id[:60]!r} is not a decision id (a UUID)") from None
        if record is None or not isinstance(record.event.payload, DecisionServed):
            raise NotFound("decision_id", f"{decision_id!r} is no decision of this installation")
        return record.event, record.event.payload

    async def _distance(self, decision: DecisionServed, sent: str) -> float:
        """How far ``sent`` is from the nearest suggestion."""
        suggested = await asyncio.to_thread(suggested_texts, self._log, self._vault, decision)
        if not suggested:
            raise Conflict("action", "is 'edited', but no suggestion can be read; use 'rejected' or 'ignored'")
        return min(edit_distance(text, sent) for text in suggested)

    def _time(self, claimed: str | None, since: int) -> int:
        """When it happened: not before ``since``, but for clocks that differ."""
        ahead_s = self._config.clock_ahead_s
        earliest = since - round(ahead_s * MICROSECONDS)
        return claimed_time(claimed, self._clock.now(), ahead_s=ahead_s, earliest=earliest)

    async def _tell(
        self, conversation: Conversation, payload: AnyPayload, claimed: str | None, event_id: UUID
    ) -> Receipt:
        """Keep what happened to a conversation, then fold it into what is held."""
        time = self._time(claimed, conversation.started)
        told = placed(payload, conversation.queue, conversation.segment)
        event = self._event(conversation.subject, conversation.conversation_id, told, time, event_id=event_id)
        receipt = await self._keep(event)
        self._conversations.fold(conversation, [event])
        return receipt

    def _event(
        self,
        subject: str,
        conversation_id: str | None,
        payload: AnyPayload,
        event_time: int,
        *,
        event_id: UUID | None = None,
    ) -> Event:
        return Event(
            event_id=event_id or self._ids.new(),
            event_time=event_time,
            subject=subject,
            conversation_id=conversation_id,
            source=SOURCE,
            payload=payload,
        )

    async def _keep(self, event: Event) -> Receipt:
        await self._append([event])
        return Receipt(str(event.event_id))


def _known(conversation_id: str, held: Conversation | None) -> Conversation:
    if held is None:
        raise NotFound("conversation_id", f"{conversation_id!r} is unknown; post its first turn to begin it")
    return held


def _check_owner(event: Event, conversation: Conversation | None, request: FeedbackRequest) -> None:
    if request.conversation_id not in {None, event.conversation_id}:
        raise Conflict("conversation_id", f"{request.conversation_id!r} is not this decision's conversation")
    if conversation is not None and conversation.agent_id not in {None, request.agent_id}:
        raise Conflict("agent_id", f"{request.agent_id!r} does not have this conversation, another agent has it")


def _check_action(decision: DecisionServed, request: FeedbackRequest) -> None:
    if request.intent is not None:
        check_label(request.intent, field="intent")
    match request.action:
        case "overridden" if request.intent is None:
            raise InvalidInput("intent", "is missing; 'overridden' says which intent is right")
        case "overridden" if request.intent == decision.intent:
            raise InvalidInput("intent", f"is {request.intent!r}, which the decision said; use 'accepted'")
        case "edited" if request.reply is None:
            raise InvalidInput("reply", "is missing; 'edited' says what was sent")
        case "accepted" if decision.intent is None:
            raise Conflict("action", "is 'accepted', but this decision was degraded and said nothing; use 'overridden'")
        case "accepted" | "edited" if request.intent not in {None, decision.intent}:
            raise InvalidInput(
                "intent", f"is {request.intent!r}, the decision said {decision.intent!r}; use 'overridden'"
            )
        case _:
            pass
