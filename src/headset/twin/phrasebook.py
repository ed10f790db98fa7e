"""What the people of the twin say, per language: the words stand in ``phrases/LANGUAGE.toml``.

Every language has the same intents, groups and keys, so that a contact can happen in any of them.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from headset.core.errors import InvalidInput

LANGUAGES = ("en", "es", "de")
"""ISO 639-1 codes of the languages that have a phrasebook."""

_Texts = Annotated[tuple[str, ...], Meta(min_length=1)]


class Group(Struct, frozen=True, forbid_unknown_fields=True):
    """Intents about one matter.

    Attributes:
        background: Sentences said before or after the question, whichever intent of the group it has.
        subjects: Subject lines of e-mails.
    """

    background: tuple[str, ...]
    subjects: _Texts


class Intent(Struct, frozen=True, forbid_unknown_fields=True):
    """What a customer may want.

    Attributes:
        group: Its matter.
        asks: Templates of the customer's question.
        replies: What agents answer.
        vague: Name of a list of questions that fit several intents, this one among them.
    """

    group: str
    asks: _Texts
    replies: _Texts
    vague: str | None = None


class Phrases(Struct, frozen=True, forbid_unknown_fields=True):
    """What is said around a question, whatever it is about.

    Attributes:
        openings: Greetings before the question.
        closings: Polite or impatient words after it.
        agreements: The customer takes an offer.
        questions: The customer asks on.
        confirmations: The agent says that it is done.
        complaints: The customer says that the answer did not help.
        apologies: The agent could not help.
        transfers: The agent passes the conversation on.
        person: The customer asks for a person.
        retries: The customer leads in to saying it again.
        additions: A sentence an agent adds to a suggested reply.
    """

    openings: _Texts
    closings: _Texts
    agreements: _Texts
    questions: _Texts
    confirmations: _Texts
    complaints: _Texts
    apologies: _Texts
    transfers: _Texts
    person: _Texts
    retries: _Texts
    additions: _Texts


class Typing(Struct, frozen=True, forbid_unknown_fields=True):
    """How people of this language type.

    Attributes:
        question_words: Lower-case words that begin a question.
        short_forms: What people in a hurry type for a word.
        folded: Letters they replace, e.g. an accented one by the plain one.
        opening_mark: What a careful writer puts before a question.
    """

    question_words: frozenset[str]
    short_forms: dict[str, str]
    folded: dict[str, str] = {}
    opening_mark: str = ""


class Voice(Struct, frozen=True, forbid_unknown_fields=True):
    """How a telephone call reads as a transcript.

    Attributes:
        starts: How callers begin.
        fillers: Sounds and words put in while thinking.
        spoken: What is said for a sign or abbreviation, e.g. ``GB``.
        misheard: What a recogniser takes a word for.
    """

    starts: _Texts
    fillers: _Texts
    spoken: dict[str, str]
    misheard: dict[str, tuple[str, ...]]


class Email(Struct, frozen=True, forbid_unknown_fields=True):
    """What stands around the question in an e-mail.

    Attributes:
        greetings: First lines.
        leads: A sentence before the question.
        details: Who writes, with the slot ``{reference}``, a number of 5 to 7 digits.
        thanks: A sentence after the question.
        signoffs: Last lines before the name.
        names: Given names with an initial.
        footers: Lines that a device adds.
    """

    greetings: _Texts
    leads: _Texts
    details: _Texts
    thanks: _Texts
    signoffs: _Texts
    names: _Texts
    footers: _Texts


class Phrasebook(Struct, frozen=True, forbid_unknown_fields=True):
    """All texts of one language.

    Attributes:
        slots: Values that templates refer to as ``{name}``.
        intents: What customers want on any day.
        emergent: What they want only once something has happened; nobody trained on these.
    """

    slots: dict[str, _Texts]
    phrases: Phrases
    typing: Typing
    voice: Voice
    email: Email
    groups: dict[str, Group]
    vague: dict[str, _Texts]
    intents: dict[str, Intent]
    emergent: dict[str, Intent]

    def intent(self, name: str) -> Intent:
        """An intent, emergent or not.

        Raises:
            KeyError: there is none of this name.
        """
        return self.intents[name] if name in self.intents else self.emergent[name]


@cache
def load_phrasebook(language: str) -> Phrasebook:
    """The phrasebook of a language.

    Raises:
        InvalidInput: there is none.

    >>> sorted(load_phrasebook("de").intents) == sorted(load_phrasebook("en").intents)
    True
    """
    if language not in LANGUAGES:
        raise InvalidInput("language", f"{language[:20]!r} has no phrasebook; there are {', '.join(LANGUAGES)}")
    text = resources.files("headset.twin").joinpath("phrases", f"{language}.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Phrasebook)
