"""One imported conversation as the events that tell it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from headset.core.ids import stable_id
from headset.events.place import placed, segment_of
from headset.events.schema import (
    ConversationEnded,
    ConversationStarted,
    Event,
    LabelRecorded,
    OutcomeRecorded,
    TurnReceived,
)

if TYPE_CHECKING:
    from typing import Literal
    from uuid import UUID

    from headset.data.row import Dialogue, Row, Turn
    from headset.events.door import Door
    from headset.events.schema import AnyPayload, Speaker

    LabelKind = Literal["intent", "satisfaction"]


class Draft:
    """Collects those events of a conversation that the log does not hold yet.

    Event ids come from the conversation's id and the event's place in it, so what is known is neither
    sealed nor told again.

    Args:
        conversation_id: The conversation's id in the log.
        subject: Whose key seals the texts.
        source: ``import:NAME``.
        door: Lets the texts in.
        known: Ids of the conversation's events in the log.
    """

    def __init__(self, conversation_id: str, subject: str, source: str, door: Door, known: set[UUID]) -> None:
        self._conversation_id = conversation_id
        self._subject = subject
        self._source = source
        self._door = door
        self._known = known
        self._queue: str | None = None
        self._segment: str | None = None
        self.events: list[Event] = []
        self.redactions: Counter[str] = Counter()

    def tell_row(self, row: Row, time: int) -> None:
        """A single customer turn and its label."""
        self._tell_turn(0, time, "customer", row.text)
        self._tell_label(time, "1", "intent", row.label)

    def tell_dialogue(self, dialogue: Dialogue, time: int) -> None:
        """All turns, their labels and the outcome; what bears no time comes a microsecond after the last.

        Args:
            dialogue: What is told.
            time: When it began, unless the dialogue knows.
        """
        if dialogue.started is not None:
            time = dialogue.started
        elif dialogue.turns[0].time is not None:
            time = dialogue.turns[0].time
        started = ConversationStarted(
            channel=dialogue.channel,
            queue=dialogue.queue,
            language=dialogue.language,
            customer_id=dialogue.customer_id,
            attributes=dialogue.attributes,
        )
        self._queue, self._segment = dialogue.queue, segment_of(dialogue.attributes)
        self._tell(time, started)
        for position, turn in enumerate(dialogue.turns):
            time = turn.time if turn.time is not None else time + 1
            self._tell_labelled_turn(position, time, turn)
        self._tell_end(dialogue, time + 1)

    def _tell_labelled_turn(self, position: int, time: int, turn: Turn) -> None:
        turn_id = str(position + 1)
        self._tell_turn(position, time, turn.speaker, turn.text, turn.agent_id)
        if turn.intent is not None:
            self._tell_label(time, turn_id, "intent", turn.intent.strip())
        for rater, rating in enumerate(turn.ratings, start=1):
            self._tell_label(time, turn_id, "satisfaction", str(rating), str(rater))

    def _tell_end(self, dialogue: Dialogue, time: int) -> None:
        for rater, rating in enumerate(dialogue.ratings, start=1):
            self._tell_label(time, None, "satisfaction", str(rating), str(rater))
        self._tell(time, ConversationEnded(ended_by=dialogue.turns[-1].speaker))
        outcome = OutcomeRecorded(
            resolution=dialogue.resolution, handle_time_s=dialogue.handle_time_s, csat=dialogue.csat
        )
        if outcome != OutcomeRecorded():
            self._tell(time, outcome, repr((outcome.resolution, outcome.handle_time_s, outcome.csat)))

    def _tell_turn(self, position: int, time: int, speaker: Speaker, text: str, agent_id: str | None = None) -> None:
        turn_id = str(position + 1)
        event_id = self._id("TurnReceived", turn_id)
        if event_id in self._known:
            return
        admitted = self._door.admit(self._subject, text)
        self.redactions.update(admitted.redactions)
        turn = TurnReceived(
            turn_id=turn_id,
            position=position,
            speaker=speaker,
            text=admitted.sealed,
            speaker_id=agent_id,
            redactions=admitted.redactions,
        )
        self._add(event_id, time, turn)

    def _tell_label(
        self, time: int, turn_id: str | None, kind: LabelKind, value: str, rater: str | None = None
    ) -> None:
        label = LabelRecorded(kind=kind, value=value, turn_id=turn_id, rater=rater)
        self._tell(time, label, turn_id or "", kind, value, rater or "")

    def _tell(self, time: int, payload: AnyPayload, *place: str) -> None:
        event_id = self._id(type(payload).__name__, *place)
        if event_id not in self._known:
            self._add(event_id, time, payload)

    def _id(self, *place: str) -> UUID:
        return stable_id(self._conversation_id, *place)

    def _add(self, event_id: UUID, time: int, payload: AnyPayload) -> None:
        event = Event(
            event_id=event_id,
            event_time=time,
            subject=self._subject,
            source=self._source,
            payload=placed(payload, self._queue, self._segment),
            conversation_id=self._conversation_id,
        )
        self.events.append(event)
