"""What the request path knows of a conversation, in memory, folded from its events."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from msgspec import Struct, field

from headset.core.errors import InvalidInput, TextErased
from headset.events.schema import (
    ConversationEnded,
    ConversationStarted,
    DecisionServed,
    Event,
    HandoffAccepted,
    HandoffRequested,
    Sealed,
    Speaker,
    TurnReceived,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from headset.events.log import Log
    from headset.events.vault import Vault

_LATEST_TURNS = 4
_STEPS = 20
_BRIEF = 300
_BRIEF_SEALED = 1_200  # a sealed text of this length says at least as much as a brief one


class Conversation(Struct):
    """State of one conversation, changed only by folding events that are durable.

    Texts are held sealed, so what is erased is gone from here too.

    Attributes:
        turns: Turn ids, each with its decision's id where there is one.
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
    segment: str | None = None
    turns: dict[str, str | None] = field(default_factory=dict)
    opening: Sealed | None = None
    latest: list[tuple[Speaker, Sealed]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    handoff: HandoffRequested | None = None
    agent_id: str | None = None
    ended: bool = False

    def fold(self, event: Event, vault: Vault) -> None:
        """Take one event in."""
        payload = event.payload
        match payload:
            case ConversationStarted():
                self.channel, self.queue = payload.channel, payload.queue
                self.language, self.customer_id = payload.language, payload.customer_id
                self.segment = payload.segment
            case TurnReceived():
                self.turns.setdefault(payload.turn_id, None)
                brief = _brief(vault, event.subject, payload.text)
                if payload.speaker == "customer" and self.opening is None:
                    self.opening = brief
                self.latest = [*self.latest[1 - _LATEST_TURNS :], (payload.speaker, brief)]
            case DecisionServed():
                self.turns[payload.turn_id] = payload.decision_id
                if payload.route == "bot" and payload.intent is not None:
                    step = f"answered {payload.intent} at turn {payload.turn_id}"
                    self.steps = [*self.steps[1 - _STEPS :], step]
            case HandoffRequested():
                self.handoff = self.handoff or payload
            case HandoffAccepted():
                self.agent_id = self.agent_id or payload.agent_id
            case ConversationEnded():
                self.ended = True
            case _:
                pass

    def summary(self, vault: Vault, newest: str) -> str:
        """What an agent reads first: how it began, how it stands; ``newest`` is the turn being decided."""
        lines = [f"{self.channel}, {self.language}, turn {len(self.turns) + 1}"]
        if self.opening is not None and len(self.turns) > len(self.latest):
            lines.append(f"began: {_opened(vault, self.subject, self.opening)}")
        lines += [f"{speaker}: {_opened(vault, self.subject, text)}" for speaker, text in self.latest]
        return "\n".join([*lines, f"customer: {newest[:_BRIEF]}"])


class Conversations:
    """The conversations in progress; the least recently used leave memory and come back from the log.

    Args:
        log: Read, by index, for a conversation that is not in memory.
        vault: Seals and opens the texts.
        limit: Conversations kept in memory.
    """

    def __init__(self, log: Log, vault: Vault, *, limit: int = 50_000) -> None:
        self._log = log
        self._vault = vault
        self._limit = limit
        self._held: OrderedDict[str, Conversation] = OrderedDict()
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def alone(self, conversation_id: str) -> AsyncIterator[Conversation | None]:
        """Work on a conversation with nobody else; gives its state, or None if nobody has said anything in it.

        If the block fails otherwise than by ``InvalidInput``, the state is dropped, and the next look reads what is
        durable.
        """
        lock, users = self._locks.get(conversation_id) or (asyncio.Lock(), 0)
        self._locks[conversation_id] = lock, users + 1
        try:
            async with lock:
                try:
                    yield self._get(conversation_id)
                except InvalidInput:  # refused before anything was kept
                    raise
                except BaseException:
                    self._held.pop(conversation_id, None)
                    raise
        finally:
            _, users = self._locks[conversation_id]
            if users == 1:
                del self._locks[conversation_id]
            else:
                self._locks[conversation_id] = lock, users - 1

    def fold(self, conversation: Conversation | None, events: list[Event]) -> None:
        """Take durable events of one conversation in, the first of a new one included."""
        for event in events:
            if conversation is None:
                conversation = Conversation(event.conversation_id or "", event.subject, event.event_time)
                self._hold(conversation)
            conversation.fold(event, self._vault)

    def _get(self, conversation_id: str) -> Conversation | None:
        held = self._held.get(conversation_id)
        if held is not None:
            self._held.move_to_end(conversation_id)
            return held
        records = self._log.conversation(conversation_id)
        self.fold(None, [record.event for record in records])
        return self._held.get(conversation_id)

    def _hold(self, conversation: Conversation) -> None:
        self._held[conversation.conversation_id] = conversation
        if len(self._held) > self._limit:
            self._held.popitem(last=False)


def _brief(vault: Vault, subject: str, sealed: Sealed) -> Sealed:
    """The beginning of a long text, sealed; a short one as it is."""
    if len(sealed) <= _BRIEF_SEALED:
        return sealed
    return vault.seal(subject, _opened(vault, subject, sealed))


def _opened(vault: Vault, subject: str, sealed: Sealed) -> str:
    try:
        return vault.open(subject, sealed)[:_BRIEF]
    except TextErased:
        return "[erased]"
