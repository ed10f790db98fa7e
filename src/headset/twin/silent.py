"""A stage on which nothing is said: for counting what would happen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.core.errors import InvalidInput
from headset.twin.stage import Decision

if TYPE_CHECKING:
    from typing import Literal

    from headset.events.schema import FeedbackAction
    from headset.twin.bot import Bot
    from headset.twin.stage import Answer, Contact, Outcome, Request

_NOBODY = Decision("", None, "human", suggested=False)


class Silent:
    """A :class:`~headset.twin.stage.Stage` without words; what happens on it is what happens where there are words.

    Args:
        bot: None where people answer everything.

    Raises:
        InvalidInput: the bot reads texts, and there are none.
    """

    def __init__(self, bot: Bot | None) -> None:
        if bot is not None and bot.needs_text:
            raise InvalidInput("model", "reads texts, which a silent simulation has not; name its confusion matrix")
        self._bot = bot
        self._answered: set[tuple[str, str]] = set()

    def ask(self, contact: Contact, request: Request) -> Decision:
        """See :meth:`Stage.ask`."""
        if self._bot is None or request not in {"ask", "retry"}:
            return _NOBODY
        reading = self._bot.read(contact, request)
        intent = reading.prediction.intent
        return Decision("", intent, reading.route, suggested=(intent, contact.customer.language) in self._answered)

    def answer(self, contact: Contact, answer: Answer, agent_id: str | None = None) -> None:
        """See :meth:`Stage.answer`; what an agent has answered is suggested from now on."""
        if agent_id is not None and answer == "reply":
            self._answered.add((contact.intent, contact.customer.language))

    def accept(self, contact: Contact, agent_id: str) -> None:
        """See :meth:`Stage.accept`."""

    def judge(
        self, contact: Contact, decision: Decision, action: FeedbackAction, agent_id: str, intent: str | None
    ) -> None:
        """See :meth:`Stage.judge`."""
        del intent  # nobody keeps labels here
        if not (decision.suggested and action in {"accepted", "edited"}):
            self.answer(contact, "reply", agent_id)

    def review(self, contact: Contact, decision: Decision, action: FeedbackAction, intent: str) -> None:
        """See :meth:`Stage.review`."""

    def end(self, contact: Contact, ended_by: Literal["customer", "agent", "bot"]) -> None:
        """See :meth:`Stage.end`."""

    def report(self, contact: Contact, outcome: Outcome) -> None:
        """See :meth:`Stage.report`."""
