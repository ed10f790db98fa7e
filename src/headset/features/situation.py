"""The situation a decision was made in, read back from its conversation: whom it was about, and what was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from headset.core.clock import MICROSECONDS
from headset.events.schema import ConversationStarted, HandoffAccepted, TurnReceived

if TYPE_CHECKING:
    from collections.abc import Iterable

    from headset.events.log import Record
    from headset.events.schema import Event
    from headset.features.fact import Entity


class Situation(NamedTuple):
    """What was known of a conversation when a turn of it was decided.

    Attributes:
        conversation_id: The conversation.
        turn: The turn's event; None where the log does not hold it.
        started: How the conversation began.
        agent_id: Who had taken it over by then.
    """

    conversation_id: str | None
    turn: Event | None
    started: ConversationStarted
    agent_id: str | None

    @property
    def keys(self) -> dict[Entity, str]:
        """Whom features were read of."""
        keys: dict[Entity, str | None] = {
            "conversation": self.conversation_id,
            "customer": self.started.customer_id,
            "agent": self.agent_id,
            "queue": self.started.queue,
            "segment": self.started.segment,
        }
        return {entity: key for entity, key in keys.items() if key is not None}

    @property
    def columns(self) -> dict[str, Any]:
        """What the request said, for on-demand features; nothing without the turn."""
        if self.turn is None or not isinstance(self.turn.payload, TurnReceived):
            return {}
        return {
            "event_time": self.turn.event_time / MICROSECONDS,
            "position": self.turn.payload.position,
            "channel": self.started.channel,
            "queue": self.started.queue,
            "language": self.started.language,
            "segment": self.started.segment,
        }


def situation_of(conversation: Iterable[Record], decision: Record, turn_id: str) -> Situation:
    """The situation of a decision about the turn ``turn_id``, from the records of its conversation."""
    turn, started, agent_id = None, ConversationStarted(), None
    for record in conversation:
        if record.offset >= decision.offset:
            break
        match record.event.payload:
            case ConversationStarted() as payload:
                started = payload
            case TurnReceived() as payload if payload.turn_id == turn_id:
                turn = record.event
            case HandoffAccepted() as payload:
                agent_id = agent_id or payload.agent_id
            case _:
                pass
    return Situation(decision.event.conversation_id, turn, started, agent_id)
