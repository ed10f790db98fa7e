"""The starter set: labelled customer texts and whole conversations of a small telecom.

The words stand in ``starter.toml``; here they are put together. Neighbouring intents share background
sentences and some vague questions, so that a model has to learn the difference, and a good one still errs
now and then. Equal seeds give equal texts.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from headset.core.clock import MICROSECONDS, iso
from headset.events.schema import Resolution, Speaker
from headset.twin.grammar import expand, punctuate, type_casually

if TYPE_CHECKING:
    from random import Random

HISTORY_S = 14 * 86_400
_AGENTS = 6
_BACKGROUND_RATIO = 0.18


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
    channel: str
    queue: str
    started: str
    turns: tuple[StarterTurn, ...]
    outcome: StarterOutcome


class _Group(Struct, frozen=True):
    background: list[str]


class _Intent(Struct, frozen=True):
    group: str
    asks: list[str]
    replies: list[str]
    vague: str | None = None


class _Phrases(Struct, frozen=True):
    openings: list[str]
    closings: list[str]
    agreements: list[str]
    questions: list[str]
    confirmations: list[str]
    complaints: list[str]
    apologies: list[str]
    transfers: list[str]


class _Content(Struct, frozen=True):
    slots: dict[str, list[str]]
    groups: dict[str, _Group]
    vague: dict[str, list[str]]
    phrases: _Phrases
    intents: dict[str, _Intent]


@cache
def _content() -> _Content:
    text = resources.files("headset.twin").joinpath("starter.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), _Content)


def starter_intents() -> tuple[str, ...]:
    """The intents of the starter set.

    >>> len(starter_intents())
    29
    """
    return tuple(_content().intents)


def starter_replies() -> dict[str, tuple[str, ...]]:
    """What agents answer to each intent.

    >>> starter_replies()["thanks_goodbye"][0]
    "You're welcome. Have a good day!"
    """
    return {name: tuple(intent.replies) for name, intent in _content().intents.items()}


def starter_examples(count: int, random: Random) -> list[Example]:
    """``count`` labelled texts, the intents in equal shares and mixed order.

    >>> from random import Random
    >>> starter_examples(58, Random(1)) == starter_examples(58, Random(1))
    True
    """
    names = starter_intents()
    intents = [names[index % len(names)] for index in range(count)]
    random.shuffle(intents)
    return [Example(_write_message(intent, random), intent) for intent in intents]


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


def _write_message(name: str, random: Random, *, vague_ratio: float = 0.06) -> str:
    """A message with this intent, from a single word to several sentences."""
    content = _content()
    intent = content.intents[name]
    asks = intent.asks
    if intent.vague is not None and random.random() < vague_ratio:
        asks = content.vague[intent.vague]
    sentences = [punctuate(expand(random.choice(asks), content.slots, random))]
    if content.groups[intent.group].background:
        sentences = _frame(_add_background(sentences, intent.group, random), random)
    return type_casually(" ".join(sentences), random)


def _add_background(sentences: list[str], group: str, random: Random) -> list[str]:
    """Say something more, mostly about the same matter, before or after the question."""
    place = random.random()
    if place > 2 * _BACKGROUND_RATIO:
        return sentences
    content = _content()
    if random.random() < 0.15:
        group = random.choice(["billing", "plan", "phone", "home", "account"])
    background = punctuate(expand(random.choice(content.groups[group].background), content.slots, random))
    return [background, *sentences] if place < _BACKGROUND_RATIO else [*sentences, background]


def _frame(sentences: list[str], random: Random) -> list[str]:
    """Put a greeting before and a polite or impatient word after, as some do."""
    if random.random() < 0.22:
        opening = random.choice(_content().phrases.openings)
        first = sentences[0]
        if opening.endswith(",") and not first.startswith(("I ", "I'", "Home ", "Flex ", "Unlimited ")):
            first = first[0].lower() + first[1:]
        sentences = [opening, first, *sentences[1:]]
    if random.random() < 0.18:
        sentences = [*sentences, random.choice(_content().phrases.closings)]
    return sentences


def _choose_reply(question: str, replies: tuple[str, ...], random: Random) -> str:
    """The reply that shares most word beginnings with the question; chance decides between equals."""
    asked = _stems(question)
    return max(replies, key=lambda reply: (len(asked & _stems(reply)), random.random()))


def _stems(text: str) -> set[str]:
    return {word[:5] for word in re.findall(r"[a-z]{4,}", text.lower())}


class _Story:
    """One conversation, told turn by turn on its own clock."""

    def __init__(self, number: int, started: int, random: Random) -> None:
        self._number = number
        self._started = self._time = started
        self._random = random
        self._phrases = _content().phrases
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
            self._say_one_of("customer", self._phrases.complaints)
            self._say_one_of("agent", self._phrases.apologies)
        elif resolution == "transferred":
            self._say_one_of("customer", self._phrases.complaints)
            self._say_one_of("agent", self._phrases.transfers)
        return StarterConversation(
            conversation_id=f"{self._number:05d}",
            customer_id=f"starter-customer-{random.randrange(1, 400):03d}",
            channel=random.choices(("chat", "voice", "email"), weights=(6, 3, 1))[0],
            queue=_content().intents[intent].group,
            started=iso(self._started),
            turns=tuple(self._turns),
            outcome=self._outcome(resolution),
        )

    def _ask(self, intent: str) -> None:
        question = _write_message(intent, self._random, vague_ratio=0)
        self._say("customer", question, intent)
        self._say("agent", _choose_reply(question, starter_replies()[intent], self._random))

    def _resolve(self) -> None:
        if self._random.random() < 0.5:
            offered = self._turns[-1].text.endswith("?")
            self._say_one_of("customer", self._phrases.agreements if offered else self._phrases.questions)
            self._say_one_of("agent", self._phrases.confirmations)
        if self._random.random() < 0.12:
            self._ask(self._random.choice([name for name in starter_intents() if name != "thanks_goodbye"]))
        if self._random.random() < 0.7:
            self._ask("thanks_goodbye")

    def _say_one_of(self, speaker: Speaker, texts: list[str]) -> None:
        self._say(speaker, self._random.choice(texts))

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
