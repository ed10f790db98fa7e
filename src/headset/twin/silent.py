"""A stage on which nothing is said: for counting what would happen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.twin.stage import Decision

if TYPE_CHECKING:
    from typing import Literal

    from headset.events.schema import FeedbackAction
    from headset.twin.bot import Bot
    from headset.twin.stage import Answer, Contact, Outcome, Request

_NOBODY = Decision("", None, "human", suggested=False)


class Silent:
    """A :class:`~headset.twin.stage.Stage` without words; only the bot is asked, which must not need texts.

    Args:
        bot: None where people answer everything.
    """

    def __init__(self, bot: Bot | None) -> None:
        self._bot = bot

    def ask(self, contact: Contact, request: Request) -> Decision:
        """See :meth:`Stage.ask`."""
        if self._bot is None or request not in {"ask", "retry"}:
            return _NOBODY
        reading = self._bot.read(contact, request)
        return Decision("", reading.prediction.intent, reading.route, suggested=True)

    def answer(self, contact: Contact, answer: Answer, agent_id: str | None = None) -> None:
        """See :meth:`Stage.answer`."""

    def accept(self, contact: Contact, agent_id: str) -> None:
        """See :meth:`Stage.accept`."""

    def judge(
        self, contact: Contact, decision: Decision, action: FeedbackAction, agent_id: str, intent: str | None
    ) -> None:
        """See :meth:`Stage.judge`."""

    def review(self, contact: Contact, decision: Decision, action: FeedbackAction, intent: str) -> None:
        """See :meth:`Stage.review`."""

    def end(self, contact: Contact, ended_by: Literal["customer", "agent", "bot"]) -> None:
        """See :meth:`Stage.end`."""

    def report(self, contact: Contact, outcome: Outcome) -> None:
        """See :meth:`Stage.report`."""
