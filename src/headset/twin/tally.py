"""The business figures of a simulated period, true because everything is known. Defined as docs/glossary.md says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from headset.twin.scenario import Costs
    from headset.twin.stage import Contact

WEEK_S = 604_800.0

KPIS = (
    "containment",
    "durable_containment",
    "fcr",
    "transfer_rate",
    "abandonment",
    "service_level",
    "asa_s",
    "aht_s",
    "occupancy",
    "csat",
    "cost_per_contact",
)
"""The figures that a what-if forecasts."""


class Course(Struct):
    """How one contact went, in truth.

    Attributes:
        arm: The model version that served it; None without a bot.
        said: The intent the bot saw first.
        bot_ended: The bot was the last to speak.
        answered: A person took it.
        abandoned: The customer gave up waiting.
        waited_s: For a person, all waits together.
        first_wait_s: Until the first answer, or until they gave up.
        in_time: They were answered within their queue's service level.
        handled_s: Time of agents, wrap-up included.
        transfers: From one person to another.
        solved: The problem is solved.
        misled: An agent acted on a wrong suggestion.
        satisfaction: 1 to 5; whether or not they answer the survey.
        return_s: Seconds until they come back; None when they do not.
    """

    arm: str | None = None
    said: str | None = None
    bot_ended: bool = False
    answered: bool = False
    abandoned: bool = False
    waited_s: float = 0.0
    first_wait_s: float = 0.0
    in_time: bool = False
    handled_s: float = 0.0
    transfers: int = 0
    solved: bool = False
    misled: bool = False
    satisfaction: int = 3
    return_s: float | None = None


class Tally(Struct):
    """Sums over contacts; each KPI is a ratio of two of them, see :meth:`figures`."""

    contacts: int = 0
    first_attempts: int = 0
    with_bot: int = 0
    right: int = 0
    contained: int = 0
    durably_contained: int = 0
    answered: int = 0
    live: int = 0
    live_answered: int = 0
    in_time: int = 0
    abandoned: int = 0
    transferred: int = 0
    solved_at_first: int = 0
    satisfaction: int = 0
    waited_s: float = 0.0
    handled_s: float = 0.0
    busy_s: float = 0.0
    staffed_s: float = 0.0

    def count(self, contact: Contact, course: Course) -> None:
        """Take in a contact that is over."""
        self.contacts += 1
        self.satisfaction += course.satisfaction
        if course.arm is not None:
            self.with_bot += 1
            self.right += course.said == contact.intent
            self.contained += course.bot_ended
            self.durably_contained += course.bot_ended and (course.return_s is None or course.return_s > WEEK_S)
        if contact.attempt == 1:
            self.first_attempts += 1
            self.solved_at_first += course.solved and course.return_s is None
        if course.answered:
            self.answered += 1
            self.transferred += course.transfers > 0
            self.handled_s += course.handled_s
        if contact.channel != "email" and (course.answered or course.abandoned):
            self.live += 1
            self.abandoned += course.abandoned
            self.in_time += course.in_time
            self.live_answered += course.answered
            self.waited_s += course.first_wait_s if course.answered else 0.0

    def figures(self, costs: Costs) -> dict[str, float | None]:
        """The KPIs of :data:`KPIS`, and ``accuracy``; None where nothing was counted.

        * ``containment``: conversations the bot ended / conversations with a bot. ``durable_containment``: those
          after which the customer did not come back within 7 days / the same.
        * ``fcr``: first contacts solved for good, no return within 14 days / first contacts.
        * ``transfer_rate``: contacts passed from one person to another / contacts answered by a person.
        * ``abandonment``: live contacts (calls and chats) that gave up waiting / those that asked for a person.
        * ``service_level``: live contacts answered within their queue's limit / those that asked for a person.
        * ``asa_s``: mean wait until the first answer, of live contacts that were answered, in seconds.
        * ``aht_s``: mean time of agents with wrap-up, of answered contacts, in seconds.
        * ``occupancy``: agents' busy time / their time at work.
        * ``csat``: mean satisfaction of all customers, 1 to 5, whether or not they answer a survey.
        * ``cost_per_contact``: agents' time at work and the bot's conversations / contacts; None where agents' time
          is not known, as for one of several arms.
        * ``accuracy``: first turns whose intent the bot got right / conversations with a bot.
        """
        cost = self.staffed_s / 3_600 * costs.agent_hour + self.with_bot * costs.bot_contact
        return {
            "containment": _ratio(self.contained, self.with_bot),
            "durable_containment": _ratio(self.durably_contained, self.with_bot),
            "fcr": _ratio(self.solved_at_first, self.first_attempts),
            "transfer_rate": _ratio(self.transferred, self.answered),
            "abandonment": _ratio(self.abandoned, self.live),
            "service_level": _ratio(self.in_time, self.live),
            "asa_s": _ratio(self.waited_s, self.live_answered),
            "aht_s": _ratio(self.handled_s, self.answered),
            "occupancy": _ratio(self.busy_s, self.staffed_s),
            "csat": _ratio(self.satisfaction, self.contacts),
            "cost_per_contact": _ratio(cost, self.contacts) if self.staffed_s else None,
            "accuracy": _ratio(self.right, self.with_bot),
        }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
