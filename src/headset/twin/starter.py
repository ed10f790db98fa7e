"""The starter set: labelled customer texts and whole conversations of a small telecom.

The texts are those of the English phrasebook. Equal seeds give equal texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from headset.core.clock import MICROSECONDS, iso
from headset.events.schema import Resolution, Speaker
from headset.twin.phrasebook import load_phrasebook
from headset.twin.utterance import Channel, PhrasebookUtterances, PhraseKind

if TYPE_CHECKING:
    from random import Random

HISTORY_S = 14 * 86_400
_AGENTS = 6
_LANGUAGE = "en"
_UTTERANCES = PhrasebookUtterances()


class Example(Struct, frozen=True):
    """A text a customer may send, and what they want."""

    text: str
    intent: str


class StarterTurn(Struct, frozen=True, omit_defaults=True):
    """One message; only what a customer asks for bears an intent."""

    speaker: Speaker
    text: str
    time: str
    intent: str | None = None
    agent_id: str | None = None


class StarterOutcome(Struct, frozen=True, omit_defaults=True):
    """How it ended; most customers skip the survey."""

    resolution: Resolution
    handle_time_s: float
    csat: int | None = None


class StarterConversation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole conversation; encoded as JSON it is one line of the ``jsonl`` import format."""

    conversation_id: str
    customer_id: str
    channel: Channel
    queue: str
    started: str
    turns: tuple[StarterTurn, ...]
    outcome: StarterOutcome


def starter_intents() -> tuple[str, ...]:
    """The intents of the starter set.

    >>> len(starter_intents())
    29
    """
    return tuple(load_phrasebook(_LANGUAGE).intents)


def starter_replies() -> dict[str, tuple[str, ...]]:
    """What agents answer to each intent.

    >>> starter_replies()["thanks_goodbye"][0]
    "You're welcome. Have a good day!"
    """
    return {name: intent.replies for name, intent in load_phrasebook(_LANGUAGE).intents.items()}


def starter_examples(count: int, random: Random) -> list[Example]:
    """``count`` labelled texts, the intents in equal shares and mixed order.

    >>> from random import Random
    >>> starter_examples(58, Random(1)) == starter_examples(58, Random(1))
    True
    """
    names = starter_intents()
    intents = [names[index % len(names)] for index in range(count)]
    random.shuffle(intents)
    return [Example(_UTTERANCES.ask(intent, _LANGUAGE, "chat", random), intent) for intent in intents]


def starter_conversations(count: int, random: Random, until: int) -> list[StarterConversation]:
    """``count`` conversations that ended in the two weeks before ``until``, oldest first.

    Args:
        count: How many; their ids count from 1, so seeding a log twice adds nothing.
        random: Decides everything.
        until: Microseconds since the epoch.
    """
    starts = sorted(random.uniform(3_600, HISTORY_S) for _ in range(count))
    return [
        _Story(number, until - round(age * MICROSECONDS), random).conversation()
        for number, age in enumerate(reversed(starts), start=1)
    ]


class _Story:
    """One conversation, told turn by turn on its own clock."""

    def __init__(self, number: int, started: int, random: Random) -> None:
        self._number = number
        self._started = self._time = started
        self._random = random
        self._channel: Channel = random.choices(("chat", "voice", "email"), weights=(6, 3, 1))[0]
        self._agent = f"agent-{random.randrange(_AGENTS) + 1}"
        self._turns: list[StarterTurn] = []

    def conversation(self) -> StarterConversation:
        """Tell it from the first question to the outcome."""
        random = self._random
        names = [name for name in starter_intents() if name != "thanks_goodbye"]
        intent = random.choice(names)
        resolutions: tuple[Resolution, ...] = ("resolved", "unresolved", "transferred", "abandoned")
        (resolution,) = random.choices(resolutions, weights=(78, 9, 8, 5))
        self._ask(intent)
        if resolution == "resolved":
            self._resolve()
        elif resolution == "unresolved":
            self._say_phrase("customer", "complaints")
            self._say_phrase("agent", "apologies")
        elif resolution == "transferred":
            self._say_phrase("customer", "complaints")
            self._say_phrase("agent", "transfers")
        return StarterConversation(
            conversation_id=f"{self._number:05d}",
            customer_id=f"starter-customer-{random.randrange(1, 400):03d}",
            channel=self._channel,
            queue=load_phrasebook(_LANGUAGE).intents[intent].group,
            started=iso(self._started),
            turns=tuple(self._turns),
            outcome=self._outcome(resolution),
        )

    def _ask(self, intent: str) -> None:
        question = _UTTERANCES.ask(intent, _LANGUAGE, self._channel, self._random)
        self._say("customer", question, intent)
        self._say("agent", _UTTERANCES.reply(intent, _LANGUAGE, question, self._random))

    def _resolve(self) -> None:
        if self._random.random() < 0.5:
            offered = self._turns[-1].text.endswith("?")
            self._say_phrase("customer", "agreements" if offered else "questions")
            self._say_phrase("agent", "confirmations")
        if self._random.random() < 0.12:
            self._ask(self._random.choice([name for name in starter_intents() if name != "thanks_goodbye"]))
        if self._random.random() < 0.7:
            self._ask("thanks_goodbye")

    def _say_phrase(self, speaker: Speaker, kind: PhraseKind) -> None:
        self._say(speaker, _UTTERANCES.say(kind, _LANGUAGE, self._channel, speaker, self._random))

    def _say(self, speaker: Speaker, text: str, intent: str | None = None) -> None:
        agent = self._agent if speaker == "agent" else None
        self._turns.append(StarterTurn(speaker, text, iso(self._time), intent, agent))
        self._time += self._random.randrange(10 * MICROSECONDS, 110 * MICROSECONDS)

    def _outcome(self, resolution: Resolution) -> StarterOutcome:
        csat: int | None = None
        if resolution != "abandoned" and self._random.random() < 0.4:
            weights = (1, 2, 8, 30, 45) if resolution == "resolved" else (30, 30, 25, 10, 5)
            (csat,) = self._random.choices((1, 2, 3, 4, 5), weights)
        return StarterOutcome(resolution, round((self._time - self._started) / MICROSECONDS, 1), csat)
