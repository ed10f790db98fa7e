"""What people say of decisions and conversations: shown, feedback, handoff accepted, ended, outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from headset.core.errors import Conflict, InvalidInput, NotFound
from headset.core.ids import stable_id
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


class _About(NamedTuple):
    """What an event is about, and the earliest time (microseconds) at which it can have happened."""

    subject: str
    conversation_id: str | None
    since: int


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
        event, decision = self._decision(decision_id)
        if not decision.suggestions:
            raise Conflict("decision_id", f"{decision_id!r} suggested nothing, so nothing was shown")
        payload = SuggestionShown(decision_id=decision_id, agent_id=request.agent_id)
        event_id = stable_id("shown", decision_id, request.agent_id)
        return await self._keep(_about(event), payload, request.event_time, event_id=event_id)

    async def record(self, decision_id: str, request: FeedbackRequest) -> Receipt:
        """What the agent did with a decision; the newest word counts.

        Raises:
            Conflict: the decision belongs to another conversation, or another agent has the conversation.
            InvalidInput: the action needs a field that is missing, or contradicts the decision.
        """
        event, decision = self._decision(decision_id)
        self._check_owner(event, request)
        distance, reply = None, None
        if request.action == "overridden" and request.intent is None:
            raise InvalidInput("intent", "is missing; 'overridden' says which intent is right")
        if request.action == "overridden" and request.intent == decision.intent:
            raise InvalidInput("intent", f"is {request.intent!r}, which the decision said; use 'accepted'")
        if request.action == "edited":
            distance = self._distance(event, decision, request.reply)
        if request.reply is not None:
            reply = self._door.admit(event.subject, request.reply, field="reply").sealed
        payload = FeedbackRecorded(
            decision_id=decision_id,
            action=request.action,
            agent_id=request.agent_id,
            intent=request.intent,
            reply=reply,
            edit_distance=distance,
        )
        return await self._keep(_about(event), payload, request.event_time)

    async def accept(self, conversation_id: str, request: AcceptRequest) -> Receipt:
        """An agent takes a handed-off conversation; it can be taken once.

        Raises:
            Conflict: no handoff was requested, or another agent has it.
        """
        conversation = self._conversation(conversation_id)
        if conversation.handoff is None:
            raise Conflict("conversation_id", f"{conversation_id!r} was not handed off; the bot still has it")
        if conversation.agent_id is not None and conversation.agent_id != request.agent_id:
            raise Conflict("agent_id", f"{conversation.agent_id!r} has this conversation already")
        conversation.agent_id = request.agent_id
        try:
            return await self._keep(
                _About(conversation.subject, conversation.conversation_id, conversation.started),
                HandoffAccepted(agent_id=request.agent_id),
                request.event_time,
                event_id=stable_id("accepted", conversation_id),
            )
        except BaseException:
            self._conversations.forget(conversation_id)
            raise

    async def end(self, conversation_id: str, request: EndRequest) -> Receipt:
        """No more turns are expected; ending twice changes nothing."""
        conversation = self._conversation(conversation_id)
        receipt = await self._keep(
            _About(conversation.subject, conversation.conversation_id, conversation.started),
            ConversationEnded(ended_by=request.ended_by),
            request.event_time,
            event_id=stable_id("ended", conversation_id),
        )
        conversation.ended = True
        return receipt

    async def conclude(self, conversation_id: str, request: OutcomeRequest) -> Receipt:
        """How the conversation turned out, in full or in part, now or days later."""
        if all(value is None for value in (request.resolution, request.handle_time_s, request.csat, request.reopened)):
            raise InvalidInput("resolution", "is missing, as are handle_time_s, csat and reopened; send at least one")
        conversation = self._conversation(conversation_id)
        payload = OutcomeRecorded(
            resolution=request.resolution,
            handle_time_s=request.handle_time_s,
            csat=request.csat,
            reopened=request.reopened,
        )
        return await self._keep(
            _About(conversation.subject, conversation.conversation_id, conversation.started),
            payload,
            request.event_time,
        )

    def _decision(self, decision_id: str) -> tuple[Event, DecisionServed]:
        try:
            record = self._log.get(UUID(decision_id))
        except ValueError:
            raise InvalidInput("decision_id", f"{decision_id[:60]!r} is not a decision id (a UUID)") from None
        if record is None or not isinstance(record.event.payload, DecisionServed):
            raise NotFound("decision_id", f"{decision_id!r} is no decision of this installation")
        return record.event, record.event.payload

    def _conversation(self, conversation_id: str) -> Conversation:
        conversation = self._conversations.get(conversation_id)
        if conversation is None:
            raise NotFound("conversation_id", f"{conversation_id!r} is unknown; post its first turn to begin it")
        return conversation

    def _check_owner(self, event: Event, request: FeedbackRequest) -> None:
        if request.conversation_id is not None and request.conversation_id != event.conversation_id:
            raise Conflict("conversation_id", f"{request.conversation_id!r} is not this decision's conversation")
        conversation = self._conversation(event.conversation_id or "")
        if conversation.agent_id is not None and conversation.agent_id != request.agent_id:
            raise Conflict("agent_id", f"{request.agent_id!r} does not have this conversation, another agent has it")

    def _distance(self, event: Event, decision: DecisionServed, reply: str | None) -> float:
        """How far ``reply`` is from the nearest suggestion."""
        if reply is None:
            raise InvalidInput("reply", "is missing; 'edited' says what was sent")
        suggested = suggested_texts(self._log, self._vault, decision)
        if not suggested:
            raise Conflict("action", "is 'edited', but this decision suggested nothing; use 'rejected' or 'ignored'")
        sent = self._door.admit(event.subject, reply, field="reply").text
        return min(edit_distance(text, sent) for text in suggested)

    async def _keep(
        self, about: _About, payload: AnyPayload, claimed: str | None, *, event_id: UUID | None = None
    ) -> Receipt:
        event = Event(
            event_id=event_id or self._ids.new(),
            event_time=claimed_time(
                claimed, self._clock.now(), ahead_s=self._config.clock_ahead_s, earliest=about.since
            ),
            subject=about.subject,
            conversation_id=about.conversation_id,
            source=SOURCE,
            payload=payload,
        )
        await self._append([event])
        return Receipt(str(event.event_id))


def _about(event: Event) -> _About:
    return _About(event.subject, event.conversation_id, event.event_time)
