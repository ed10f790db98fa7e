"""The words of a simulated conversation: what is said when something is asked or answered, and at what time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from headset.events.door import TEXT_LIMIT
from headset.twin.catalogue import THANKS
from headset.twin.demand import progress

if TYPE_CHECKING:
    from headset.twin.scenario import Scenario
    from headset.twin.stage import Answer, Contact, Request
    from headset.twin.utterance import PhraseKind, Utterances

_PHRASES: dict[str, PhraseKind] = {
    "person": "person",
    "agreement": "agreements",
    "question": "questions",
    "complaint": "complaints",
    "confirmation": "confirmations",
    "apology": "apologies",
    "transfer": "transfers",
}


class Script:
    """Finds words for what people do.

    Args:
        scenario: Says which words change over time.
        utterances: Where the words come from.
    """

    def __init__(self, scenario: Scenario, utterances: Utterances) -> None:
        self._start = scenario.start
        self._changes = [change for change in scenario.changes if change.words]
        self._utterances = utterances

    def request(self, contact: Contact, request: Request, now_s: float) -> str:
        """What a customer says, ``now_s`` seconds after the scenario's start; no longer than a text may be."""
        return self._request(contact, request, now_s)[:TEXT_LIMIT]

    def _request(self, contact: Contact, request: Request, now_s: float) -> str:
        language, channel, words = contact.customer.language, contact.channel, contact.words
        kind = _PHRASES.get(request)
        if kind is not None:
            return self._utterances.say(kind, language, channel, "customer", words, error_ratio=contact.error_ratio)
        return self._utterances.ask(
            THANKS if request == "thanks" else contact.intent,
            language,
            channel,
            words,
            again=request == "retry",
            error_ratio=contact.error_ratio,
            renamed=self._renamed(contact, now_s),
        )

    def answer(self, contact: Contact, answer: Answer, question: str, intent: str) -> str:
        """What the bot or an agent says, to somebody they take to want ``intent``."""
        language, words = contact.customer.language, contact.words
        if answer == "reply":
            return self._utterances.reply(intent, language, question, words)
        return self._utterances.say(_PHRASES[answer], language, contact.channel, "agent", words)

    def addition(self, contact: Contact) -> str:
        """A sentence that an agent adds to a suggested reply."""
        return self._utterances.say("additions", contact.customer.language, contact.channel, "agent", contact.words)

    def _renamed(self, contact: Contact, now_s: float) -> dict[str, str]:
        """The words this customer replaces, the more of them the further a change has come."""
        if not self._changes:
            return {}
        now = self._start + timedelta(seconds=now_s)
        return {
            word: other
            for change in self._changes
            if (share := progress(change, now)) > 0
            for word, other in change.words.items()
            if contact.words.random() < share
        }
