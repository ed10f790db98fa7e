"""Where the twin's conversations take place: in nobody's hearing, in a log, or with a live server."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from headset.events.schema import FeedbackAction, Resolution, Route

if TYPE_CHECKING:
    from headset.twin.customer import Customer
    from headset.twin.scenario import Channel

Request = Literal["ask", "retry", "person", "thanks", "agreement", "question", "complaint"]
"""What a customer's turn is for."""

Answer = Literal["reply", "confirmation", "apology", "transfer"]
"""What a turn of the bot or an agent is for."""


class Contact:
    """One conversation of one customer.

    Attributes:
        conversation_id: In the log; a customer who comes back has a new one.
        customer: Who.
        intent: What they want, in truth.
        channel: How.
        queue: The line they chose; mostly the right one.
        start_s: When, in seconds since the scenario's start.
        attempt: 1, and one more each time they come back.
        incident: What made them get in touch, if not everyday life.
        error_ratio: Share of their words that recognition garbles on a call.
        accuracy_loss: How much worse the bot reads them.
        random: Decides what they do.
        words: Decides their words; a thing of its own, so that what is done does not depend on what is said.
    """

    __slots__ = (
        "accuracy_loss",
        "attempt",
        "channel",
        "conversation_id",
        "customer",
        "error_ratio",
        "incident",
        "intent",
        "queue",
        "random",
        "start_s",
        "words",
    )

    def __init__(
        self, conversation_id: str, customer: Customer, intent: str, channel: Channel, start_s: float, seed: str
    ) -> None:
        self.conversation_id = conversation_id
        self.customer = customer
        self.intent = intent
        self.channel: Channel = channel
        self.queue = "front"
        self.start_s = start_s
        self.attempt = 1
        self.incident: str | None = None
        self.error_ratio = 0.0
        self.accuracy_loss = 0.0
        self.random = Random(f"{seed}:{conversation_id}")  # noqa: S311 - a simulation
        self.words = Random(f"{seed}:{conversation_id}:words")  # noqa: S311

    def has(self, where: dict[str, str]) -> bool:
        """Whether the contact has all these attributes."""
        return all(self.attribute(name) == value for name, value in where.items())

    def attribute(self, name: str) -> str | None:
        """The value of a segment, of ``language`` or of ``channel``."""
        if name == "channel":
            return self.channel
        return self.customer.language if name == "language" else self.customer.segments.get(name)


class Decision(Struct, frozen=True):
    """What the platform decided about a customer's turn, as far as people act on it."""

    decision_id: str
    intent: str | None
    route: Route
    suggested: bool
    suggestions: tuple[str, ...] = ()


class Outcome(Struct, frozen=True, kw_only=True):
    """What is recorded of how a conversation ended; parts come later than others."""

    resolution: Resolution | None = None
    handle_time_s: float | None = None
    csat: int | None = None
    reopened: bool | None = None


class Stage(Protocol):
    """Is told what people do, and answers what the platform decides.

    Raises:
        StorageFailed: from any method: this conversation cannot go on.
    """

    def ask(self, contact: Contact, request: Request) -> Decision:
        """The customer says something."""
        ...

    def answer(self, contact: Contact, answer: Answer, agent_id: str | None = None) -> None:
        """An agent says something, or the bot where ``agent_id`` is None."""
        ...

    def accept(self, contact: Contact, agent_id: str) -> None:
        """An agent takes the conversation over."""
        ...

    def judge(
        self, contact: Contact, decision: Decision, action: FeedbackAction, agent_id: str, intent: str | None
    ) -> None:
        """An agent, having seen the suggestions, says what they did with a decision, and answers accordingly."""
        ...

    def review(self, contact: Contact, decision: Decision, action: FeedbackAction, intent: str) -> None:
        """A reviewer who reads a conversation afterwards says which intent was right."""
        ...

    def end(self, contact: Contact, ended_by: Literal["customer", "agent", "bot"]) -> None:
        """The conversation is over."""
        ...

    def report(self, contact: Contact, outcome: Outcome) -> None:
        """Something is known of how it ended."""
        ...
