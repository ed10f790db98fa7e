"""A stage that takes down everything as events, at the times of the simulation."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, cast

from headset.core.clock import MICROSECONDS
from headset.events.place import placed, segment_of
from headset.events.schema import (
    Alternative,
    ConversationEnded,
    ConversationStarted,
    DecisionServed,
    Event,
    FeedbackRecorded,
    HandoffAccepted,
    HandoffRequested,
    OutcomeRecorded,
    SuggestionShown,
    TurnReceived,
)
from headset.events.subject import subject_of
from headset.feedback.edit_distance import edit_distance
from headset.twin.reply import choose_reply
from headset.twin.stage import Decision
from headset.twin.unsealed import PENDING, Unsealed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal
    from uuid import UUID

    from simpy import Environment

    from headset.core.clock import Clock
    from headset.core.ids import Ids
    from headset.events.schema import AnyPayload, FeedbackAction, Route, RouteReason
    from headset.twin.bot import Bot, Reading
    from headset.twin.fault import Faults
    from headset.twin.script import Script
    from headset.twin.stage import Answer, Contact, Outcome, Request

SOURCE = "twin"
REVIEWER = "quality"
_SUGGESTIONS = 3
_SLA_S = 60.0
_LATENCY = (0.7, 0.35)


class _Conversation:
    """What must be known of a conversation while it lasts."""

    __slots__ = ("handed_off", "question", "read_as", "turns", "with_person")

    def __init__(self) -> None:
        self.turns = 0
        self.handed_off = False
        self.with_person = False
        self.question = ""
        self.read_as: str | None = None


class Recorded:
    """A :class:`~headset.twin.stage.Stage` that turns what happens into events, in order; :meth:`take` them often.

    Args:
        env: Of the simulation; its time is seconds since the scenario's start.
        clock: The same time as the log has it.
        ids: Gives every event its id; on that clock, so that ids grow with time.
        script: Finds the words.
        faults: Distorts what is told.
        queue_of: The queue of each intent.
        bot: None where people answer everything.
        until_s: What happens later is not taken down.
    """

    def __init__(  # noqa: PLR0913 - each is a part of its own
        self,
        *,
        env: Environment,
        clock: Clock,
        ids: Ids,
        script: Script,
        faults: Faults,
        queue_of: Mapping[str, str],
        bot: Bot | None,
        model: str,
        until_s: float,
    ) -> None:
        self._env = env
        self._clock = clock
        self._ids = ids
        self._script = script
        self._faults = faults
        self._queue_of = queue_of
        self._bot = bot
        self._model = model
        self._until_s = until_s
        self._open: dict[str, _Conversation] = {}
        self._replies: dict[tuple[str, str], deque[tuple[UUID, str]]] = {}
        self._taken: list[Unsealed] = []

    def ask(self, contact: Contact, request: Request) -> Decision:
        """See :meth:`Stage.ask`."""
        held = self._held(contact)
        text = self._script.request(contact, request, self._env.now)
        if request in {"ask", "retry"}:
            held.question = text
        turn = TurnReceived(
            turn_id=str(held.turns + 1),
            position=held.turns,
            speaker="customer",
            text=PENDING,
        )
        self._tell(contact, turn, text=text)
        held.turns += 1
        if self._bot is None:
            return Decision("", None, "human", suggested=False)
        reading = self._bot.read(contact, request, text)
        held.read_as = reading.prediction.intent
        return self._decide(contact, held, reading, turn)

    def answer(self, contact: Contact, answer: Answer, agent_id: str | None = None) -> None:
        """See :meth:`Stage.answer`."""
        held = self._held(contact)
        known = agent_id is None and held.read_as in self._queue_of  # a model may say what nobody has words for
        wanted = cast("str", held.read_as) if known else contact.intent
        text = self._script.answer(contact, answer, held.question, wanted)
        self._speak(contact, held, text, agent_id, keep=answer == "reply")

    def accept(self, contact: Contact, agent_id: str) -> None:
        """See :meth:`Stage.accept`."""
        held = self._held(contact)
        held.with_person = True
        if held.handed_off:
            self._tell(contact, HandoffAccepted(agent_id=agent_id))

    def judge(
        self, contact: Contact, decision: Decision, action: FeedbackAction, agent_id: str, intent: str | None
    ) -> None:
        """See :meth:`Stage.judge`."""
        held = self._held(contact)
        if decision.suggestions:
            self._tell(contact, SuggestionShown(decision_id=decision.decision_id, agent_id=agent_id))
        reply, own = choose_reply(self._script, contact, decision, action, held.question)
        edited = action == "edited" and not own
        distance = round(edit_distance(decision.suggestions[0], reply), 4) if edited else None
        self._tell(
            contact,
            FeedbackRecorded(
                decision_id=decision.decision_id,
                action=action,
                agent_id=agent_id,
                intent=intent,
                reply=PENDING,
                edit_distance=distance,
            ),
            text=reply,
            field="reply",
        )
        self._speak(contact, held, reply, agent_id, keep=own)

    def review(self, contact: Contact, decision: Decision, action: FeedbackAction, intent: str) -> None:
        """See :meth:`Stage.review`."""
        self._tell(
            contact,
            FeedbackRecorded(decision_id=decision.decision_id, action=action, agent_id=REVIEWER, intent=intent),
        )

    def end(self, contact: Contact, ended_by: Literal["customer", "agent", "bot"]) -> None:
        """See :meth:`Stage.end`."""
        self._tell(contact, ConversationEnded(ended_by=ended_by))
        self._open.pop(contact.conversation_id, None)

    def report(self, contact: Contact, outcome: Outcome) -> None:
        """See :meth:`Stage.report`."""
        for told in self._faults.outcomes(contact, outcome, self._env.now):
            self._tell(
                contact,
                OutcomeRecorded(
                    resolution=told.resolution,
                    handle_time_s=told.handle_time_s,
                    csat=told.csat,
                    reopened=told.reopened,
                ),
            )

    def take(self) -> list[Unsealed]:
        """What happened since the last time."""
        taken, self._taken = self._taken, []
        return taken

    def _held(self, contact: Contact) -> _Conversation:
        held = self._open.get(contact.conversation_id)
        if held is None:
            held = _Conversation()
            self._open[contact.conversation_id] = held
            self._tell(contact, self._started(contact))
        return held

    def _segment(self, contact: Contact) -> str | None:
        _, segments = self._faults.attributes(contact, contact.start_s)
        return segment_of(segments)

    def _started(self, contact: Contact) -> ConversationStarted:
        language, segments = self._faults.attributes(contact, self._env.now)
        return ConversationStarted(
            channel=contact.channel,
            queue=contact.queue,
            language=language,
            customer_id=contact.customer.customer_id,
            attributes=segments,
        )

    def _decide(self, contact: Contact, held: _Conversation, reading: Reading, turn: TurnReceived) -> Decision:
        assert self._bot is not None  # noqa: S101
        prediction, serving = reading.prediction, self._bot.version(contact)
        route: Route = "human" if held.with_person else reading.route
        reason: RouteReason = "with_human" if held.with_person else reading.reason
        suggested = list(self._replies.get((prediction.intent, contact.customer.language), ()))
        decision_id = self._ids.new()
        served = DecisionServed(
            decision_id=str(decision_id),
            turn_id=turn.turn_id,
            position=turn.position,
            model=self._model,
            model_version=serving.version,
            arm="candidate" if contact.customer.arm else "champion",
            intent=prediction.intent,
            confidence=prediction.confidence,
            route=route,
            reason=reason,
            latency_ms=round(contact.words.lognormvariate(*_LATENCY), 3),
            alternatives=[Alternative(prediction.second, round((1 - prediction.confidence) * 0.6, 4))],
            suggestions=[reply_id for reply_id, _ in suggested],
        )
        self._tell(contact, served, event_id=decision_id)
        if route == "human" and not held.handed_off:
            held.handed_off = True
            self._tell(contact, self._handoff(contact, served), text=held.question, field="summary")
        texts = tuple(reply for _, reply in suggested)
        return Decision(served.decision_id, prediction.intent, route, bool(texts), texts)

    def _handoff(self, contact: Contact, served: DecisionServed) -> HandoffRequested:
        return HandoffRequested(
            decision_id=served.decision_id,
            queue=self._queue_of.get(served.intent or "", contact.queue),
            reason=served.reason,
            summary=PENDING,
            steps_tried=[],
            due_time=self._clock.now() + round(_SLA_S * MICROSECONDS),
        )

    def _speak(self, contact: Contact, held: _Conversation, text: str, agent_id: str | None, *, keep: bool) -> None:
        turn = TurnReceived(
            turn_id=str(held.turns + 1),
            position=held.turns,
            speaker="bot" if agent_id is None else "agent",
            text=PENDING,
            speaker_id=agent_id,
        )
        held.turns += 1
        event_id = self._tell(contact, turn, text=text)
        if keep and agent_id is not None:
            place = (contact.intent, contact.customer.language)
            known = self._replies.setdefault(place, deque(maxlen=_SUGGESTIONS))
            if text not in (reply for _, reply in known):
                known.appendleft((event_id, text))

    def _tell(
        self,
        contact: Contact,
        payload: AnyPayload,
        *,
        event_id: UUID | None = None,
        text: str | None = None,
        field: str = "text",
    ) -> UUID:
        if self._env.now > self._until_s:
            return event_id or self._ids.new()
        if event_id is None:
            event_id = self._ids.new()
        event = Event(
            event_id=event_id,
            event_time=self._clock.now(),
            subject=subject_of(contact.conversation_id, contact.customer.customer_id),
            source=SOURCE,
            payload=placed(payload, contact.queue, self._segment(contact)),
            conversation_id=contact.conversation_id,
        )
        self._taken.append(Unsealed(event, text, field))
        return event_id
