"""What an agent sends who has suggestions in view."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headset.events.schema import FeedbackAction
    from headset.twin.script import Script
    from headset.twin.stage import Contact, Decision

_SENTENCES = 3
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def choose_reply(
    script: Script, contact: Contact, decision: Decision, action: FeedbackAction, question: str
) -> tuple[str, bool]:
    """The text an agent sends, and whether it is their own.

    Who accepts sends the first suggestion as it is, who edits sends another text made of it, who does neither, or is
    suggested nothing, answers in words of their own what the customer wants in truth.

    Args:
        script: Finds the words.
        contact: Whom it is sent to.
        decision: Whose suggestions are in view.
        action: What the agent says they did with it.
        question: What the customer asked.
    """
    if decision.suggestions and action == "accepted":
        return decision.suggestions[0], False
    if decision.suggestions and action == "edited":
        return _edit(decision.suggestions[0], script.addition(contact)), False
    return script.answer(contact, "reply", question, contact.intent), True


def _edit(reply: str, addition: str) -> str:
    """Make a reply longer, or a long one shorter; so replies do not grow when what was edited is suggested again.

    >>> _edit("It is on its way.", "Is there anything else?")
    'It is on its way. Is there anything else?'
    >>> _edit("One. Two. Three. Four.", "Five.")
    'One. Two. Three.'
    """
    sentences = _SENTENCE_END.split(reply)
    return " ".join(sentences[:_SENTENCES]) if len(sentences) > _SENTENCES else f"{reply} {addition}"
