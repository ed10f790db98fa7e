"""What the request path knows of a conversation, in memory, folded from its events."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from msgspec import Struct, field

from headset.core.errors import TextErased
from headset.events.schema import (
    ConversationEnded,
    ConversationStarted,
    DecisionServed,
    Event,
    HandoffAccepted,
    HandoffRequested,
    TurnReceived,
)

if TYPE_CHECKING:
    from headset.events.log import Log
    from headset.events.vault import Vault

_LAST_TEXTS = 4


class Conversation(Struct):
    """State of one conversation; changed only by :meth:`fold` and by reserving a turn.

    Attributes:
        turns: Turn ids seen, each with its decision id once one was served.
        opening: The customer's first text, for the handoff summary.
        latest: The last few texts, newest last, with their speaker.
        steps: What the bot has tried, oldest first.
        handoff: The open or accepted handoff; a conversation has at most one.
    """

    conversation_id: str
    subject: str
    started: int
    channel: str = "chat"
    queue: str = "default"
    language: str = "en"
    customer_id: str | None = None
    turns: dict[str, str | None] = field(default_factory=dict)
    opening: str = ""
    latest: list[tuple[str, str]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    handoff: HandoffRequested | None = None
    agent_id: str | None = None
    ended: bool = False

    def heard(self, speaker: str, text: str) -> None:
        """Remember a text for the summary."""
        if speaker == "customer" and not self.opening:
            self.opening = text
        self.latest = [*self.latest[-_LAST_TEXTS + 1 :], (speaker, text)]

    def summary(self) -> str:
        """What an agent reads first: how it began, how it stands."""
        lines = [f"{self.channel}, {self.language}, {len(self.turns)} turns"]
        if self.opening and (len(self.turns) > len(self.latest) or not self.latest):
            lines.append(f"began: {self.opening[:300]}")
        lines += [f"{speaker}: {text[:300]}" for speaker, text in self.latest]
        return "\n".join(lines)

    def fold(self, event: Event, text: str | None) -> None:
        """Take one event in; ``text`` is the turn's redacted text where there is one."""
        payload = event.payload
        match payload:
            case TurnReceived():
                self.turns.setdefault(payload.turn_id, None)
                if text is not None:
                    self.heard(payload.speaker, text)
            case DecisionServed():
                self.turns[payload.turn_id] = payload.decision_id
                if payload.route == "bot" and payload.intent is not None:
                    self.steps.append(f"answered {payload.intent} at turn {payload.turn_id}")
            case HandoffRequested():
                self.handoff = self.handoff or payload
            case HandoffAccepted():
                self.agent_id = self.agent_id or payload.agent_id
            case ConversationEnded():
                self.ended = True
            case _:
                pass


class Conversations:
    """The conversations in progress; the least recently used leave memory and come back from the log.

    Args:
        log: Read once, by index, for a conversation that is not in memory.
        vault: Opens the texts of such a conversation.
        limit: Conversations kept in memory.
    """

    def __init__(self, log: Log, vault: Vault, *, limit: int = 50_000) -> None:
        self._log = log
        self._vault = vault
        self._limit = limit
        self._held: OrderedDict[str, Conversation] = OrderedDict()

    def get(self, conversation_id: str) -> Conversation | None:
        """The conversation, or None if nobody has said anything in it."""
        held = self._held.get(conversation_id)
        if held is not None:
            self._held.move_to_end(conversation_id)
            return held
        restored = self._restore(conversation_id)
        if restored is not None:
            self.add(restored)
        return restored

    def add(self, conversation: Conversation) -> None:
        """Hold a new conversation."""
        self._held[conversation.conversation_id] = conversation
        if len(self._held) > self._limit:
            self._held.popitem(last=False)

    def forget(self, conversation_id: str) -> None:
        """Drop the state in memory, so that the next look reads the log."""
        self._held.pop(conversation_id, None)

    def _restore(self, conversation_id: str) -> Conversation | None:
        conversation: Conversation | None = None
        for record in self._log.conversation(conversation_id):
            event = record.event
            if conversation is None:
                conversation = Conversation(conversation_id, event.subject, event.event_time)
            if isinstance(event.payload, ConversationStarted):
                conversation = _opened(conversation, event.payload)
            conversation.fold(event, self._text(event))
        return conversation

    def _text(self, event: Event) -> str | None:
        if not isinstance(event.payload, TurnReceived):
            return None
        try:
            return self._vault.open(event.subject, event.payload.text)
        except TextErased:
            return "[erased]"


def _opened(conversation: Conversation, started: ConversationStarted) -> Conversation:
    conversation.channel = started.channel
    conversation.queue = started.queue
    conversation.language = started.language
    conversation.customer_id = started.customer_id
    return conversation
