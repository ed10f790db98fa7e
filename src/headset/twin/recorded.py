"""A stage that takes down everything as events, at the times of the simulation."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from headset.core.clock import MICROSECONDS
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
from headset.twin.stage import Decision
from headset.twin.unsealed import PENDING, Unsealed

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal
    from uuid import UUID

    from headset.core.clock import ManualClock
    from headset.core.ids import Ids
    from headset.events.schema import AnyPayload, FeedbackAction
    from headset.twin.bot import Bot, Reading
    from headset.twin.faulty import Faults
    from headset.twin.script import Script
    from headset.twin.stage import Answer, Contact, Outcome, Request

SOURCE = "twin"
REVIEWER = "quality"
_SUGGESTIONS = 3
_SLA_S = 60.0
_LATENCY = (0.7, 0.35)


class _Conversation:
    """What must be known of a conversation while it lasts."""

    __slots__ = ("handed_off", "question", "read_as", "suggested", "turns", "with_person")

    def __init__(self) -> None:
        self.turns = 0
        self.handed_off = False
        self.with_person = False
        self.question = ""
        self.read_as: str | None = None
        self.suggested: list[tuple[UUID, str]] = []


class Recorded:
    """A :class:`~headset.twin.stage.Stage` that turns what happens into events, in order; :meth:`take` them often.

    Args:
        clock: Is moved along with the simulation.
        ids: Gives every event its id; on that clock, so that ids grow with time.
        script: Finds the words.
        faults: Distorts what is told.
        bot: None where people answer everything.
        score: Sentiment of a text, -1 to 1.
        start_us: When the scenario begins, in microseconds since the epoch.
        now_s: The simulation's time, in seconds since then.
        until_s: What happens later is not taken down.
    """

    def __init__(
        self,
        *,
        clock: ManualClock,
        ids: Ids,
        script: Script,
        faults: Faults,
        bot: Bot | None,
        score: Callable[[str], float],
        model: str,
        start_us: int,
        now_s: Callable[[], float],
        until_s: float,
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._script = script
        self._faults = faults
        self._bot = bot
        self._score = score
        self._model = model
        self._start_us = start_us
        self._now_s = now_s
        self._until_s = until_s
        self._open: dict[str, _Conversation] = {}
        self._replies: dict[tuple[str, str], deque[tuple[UUID, str]]] = {}
        self._taken: list[Unsealed] = []

    def ask(self, contact: Contact, request: Request) -> Decision:
        """See :meth:`Stage.ask`."""
        held = self._held(contact)
        text = self._script.request(contact, request, self._now_s())
        if request in {"ask", "retry"}:
            held.question = text
        sentiment = round(self._score(text), 4)
        turn = TurnReceived(
            turn_id=str(held.turns + 1),
            position=held.turns,
            speaker="customer",
            text=PENDING,
            sentiment=sentiment if self._bot else None,
        )
        self._tell(contact, turn, text=text)
        held.turns += 1
        if self._bot is None:
            return Decision("", None, "human", suggested=False)
        reading = self._bot.read(contact, request, text)
        return self._decide(contact, held, reading, turn, sentiment)

    def answer(self, contact: Contact, answer: Answer, agent_id: str | None = None) -> None:
        """See :meth:`Stage.answer`."""
        held = self._held(contact)
        wanted = (held.read_as if agent_id is None else None) or contact.intent
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
        suggested = held.suggested[0][1] if held.suggested else None
        if decision.suggested:
            self._tell(contact, SuggestionShown(decision_id=decision.decision_id, agent_id=agent_id))
        if suggested is not None and action in {"accepted", "edited"}:
            reply = suggested if action == "accepted" else f"{suggested} {self._script.addition(contact)}"
        else:
            reply = self._script.answer(contact, "reply", held.question, contact.intent)
        edited = action == "edited" and suggested is not None
        self._tell(
            contact,
            FeedbackRecorded(
                decision_id=decision.decision_id,
                action=action,
                agent_id=agent_id,
                intent=intent,
                reply=PENDING,
                edit_distance=round(edit_distance(suggested or "", reply), 4) if edited else None,
            ),
            text=reply,
            field="reply",
        )
        self._speak(contact, held, reply, agent_id, keep=True)

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
        for told in self._faults.outcomes(contact, outcome, self._now_s()):
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

    def _started(self, contact: Contact) -> ConversationStarted:
        language, segments = self._faults.attributes(contact, self._now_s())
        return ConversationStarted(
            channel=contact.channel,
            queue="front",
            language=language,
            customer_id=contact.customer.customer_id,
            attributes=segments,
        )

    def _decide(
        self, contact: Contact, held: _Conversation, reading: Reading, turn: TurnReceived, sentiment: float
    ) -> Decision:
        assert self._bot is not None  # noqa: S101
        prediction, serving = reading.prediction, self._bot.version(contact)
        route, reason = ("human", "with_human") if held.with_person else (reading.route, reading.reason)
        held.read_as = prediction.intent
        held.suggested = list(self._replies.get((prediction.intent, contact.customer.language), ()))
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
            sentiment=sentiment,
            suggestions=[reply_id for reply_id, _ in held.suggested],
        )
        self._tell(contact, served, event_id=decision_id)
        if route == "human" and not held.handed_off:
            held.handed_off = True
            self._tell(contact, self._handoff(served), text=held.question or turn.speaker, field="summary")
        return Decision(served.decision_id, prediction.intent, route, suggested=bool(held.suggested))

    def _handoff(self, served: DecisionServed) -> HandoffRequested:
        return HandoffRequested(
            decision_id=served.decision_id,
            queue="front",
            reason=served.reason,
            summary=PENDING,
            steps_tried=[],
            due_time=self._time_us() + round(_SLA_S * MICROSECONDS),
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
            self._replies.setdefault(place, deque(maxlen=_SUGGESTIONS)).appendleft((event_id, text))

    def _time_us(self) -> int:
        return self._start_us + round(self._now_s() * MICROSECONDS)

    def _tell(
        self,
        contact: Contact,
        payload: AnyPayload,
        *,
        event_id: UUID | None = None,
        text: str | None = None,
        field: str = "text",
    ) -> UUID:
        time_us = self._time_us()
        self._clock.advance((time_us - self._clock.now()) / MICROSECONDS)
        event_id = event_id or self._ids.new()
        if self._now_s() > self._until_s:
            return event_id
        event = Event(
            event_id=event_id,
            event_time=time_us,
            subject=subject_of(contact.conversation_id, contact.customer.customer_id),
            source=SOURCE,
            payload=payload,
            conversation_id=contact.conversation_id,
        )
        self._taken.append(Unsealed(event, text, field))
        return event_id
