"""What is said in the twin: one interface, made from the phrasebooks or from the texts of a data set."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from headset.core.errors import InvalidInput
from headset.twin.chat import write_chat
from headset.twin.email import write_answer, write_email
from headset.twin.grammar import expand, punctuate
from headset.twin.phrasebook import load_phrasebook
from headset.twin.voice import transcribe

if TYPE_CHECKING:
    from random import Random

    from headset.events.schema import Speaker
    from headset.twin.phrasebook import Intent, Phrasebook
    from headset.twin.scenario import Channel

PhraseKind = Literal[
    "agreements",
    "questions",
    "confirmations",
    "complaints",
    "apologies",
    "transfers",
    "person",
    "additions",
]

_OPENING_RATIO = 0.22
_CLOSING_RATIO = 0.18
_START_RATIO = 0.55
_OTHER_GROUP_RATIO = 0.15
_STEM = re.compile(r"[^\W\d_]{4,}")
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Utterances(Protocol):
    """Where the texts of simulated conversations come from. Equal seeds give equal texts."""

    def ask(
        self,
        intent: str,
        language: str,
        channel: Channel,
        random: Random,
        *,
        again: bool = False,
        error_ratio: float = 0.0,
        renamed: Mapping[str, str] = _NOTHING,
    ) -> str:
        """A customer's question.

        Args:
            intent: What they want.
            language: ISO 639-1 code.
            channel: Where they ask.
            random: Decides the words.
            again: They say it another way, because the answer did not fit.
            error_ratio: Word error rate of the recogniser, on voice only.
            renamed: Words (or several in a row) that customers now use another word for; whole words, in any case.
                What frames an e-mail keeps its words.

        Raises:
            InvalidInput: there are no texts of this intent and language.
        """

    def reply(self, intent: str, language: str, question: str, random: Random) -> str:
        """An agent's or bot's answer that fits ``question``.

        Raises:
            InvalidInput: there are no texts of this intent and language.
        """

    def say(
        self,
        kind: PhraseKind,
        language: str,
        channel: Channel,
        speaker: Speaker,
        random: Random,
        *,
        error_ratio: float = 0.0,
    ) -> str:
        """A phrase that fits any intent; a customer's reads as the channel has it, others write cleanly.

        Raises:
            InvalidInput: there are no texts of this language.
        """


class _Phrases(Struct, frozen=True):
    """What both kinds of utterances take from the phrasebooks."""

    def say(
        self,
        kind: PhraseKind,
        language: str,
        channel: Channel,
        speaker: Speaker,
        random: Random,
        *,
        error_ratio: float = 0.0,
    ) -> str:
        """See `Utterances.say`."""
        book = load_phrasebook(language)
        text = _choose(getattr(book.phrases, kind), book, random)
        if speaker != "customer":
            return punctuate(text, book.typing)
        if channel == "chat":
            return write_chat(text, book.typing, random)
        if channel == "voice":
            return transcribe(text, language, random, error_ratio=error_ratio)
        return write_answer(text, language, random)


class PhrasebookUtterances(_Phrases, frozen=True):
    """Texts made from the phrasebooks: three languages, all intents, the emergent ones too.

    Neighbouring intents share background sentences and some vague questions, so that a model has to learn
    the difference, and a good one still errs now and then.

    Attributes:
        vague_ratio: Share of questions that fit several intents, where an intent has such.
        background_ratio: Share of questions with a sentence before them, and of those with one after.
    """

    vague_ratio: float = 0.06
    background_ratio: float = 0.18

    def ask(
        self,
        intent: str,
        language: str,
        channel: Channel,
        random: Random,
        *,
        again: bool = False,
        error_ratio: float = 0.0,
        renamed: Mapping[str, str] = _NOTHING,
    ) -> str:
        """See `Utterances.ask`.

        >>> from random import Random
        >>> PhrasebookUtterances().ask("roaming", "en", "voice", Random(5), error_ratio=0)
        "what do calls home cost while i'm in italy"
        """
        book = load_phrasebook(language)
        wanted = _intent(book, intent)
        asks = wanted.asks
        if wanted.vague is not None and random.random() < self.vague_ratio:
            asks = book.vague[wanted.vague]
        sentences = self._add_background([_choose(asks, book, random)], wanted.group, book, random)
        if renamed:
            sentences = [_rename(sentence, renamed) for sentence in sentences]
        if not book.groups[wanted.group].background:
            return _answer(sentences[0], book, language, channel, random, error_ratio)
        if channel == "email" and not again:
            return write_email(sentences, language, random, group=wanted.group)
        framed = _frame(sentences, book, channel, random, again=again)
        return _answer(framed, book, language, channel, random, error_ratio)

    def reply(self, intent: str, language: str, question: str, random: Random) -> str:
        """See `Utterances.reply`; the reply that shares most word beginnings with the question.

        >>> from random import Random
        >>> PhrasebookUtterances().reply("voicemail", "en", "please switch off my voicemail", Random(1))
        "I've switched your voicemail off. Calls now ring until the caller hangs up."
        """
        asked = _stems(question)
        replies = _intent(load_phrasebook(language), intent).replies
        return max(replies, key=lambda reply: (len(asked & _reply_stems(reply)), random.random()))

    def _add_background(self, sentences: list[str], group: str, book: Phrasebook, random: Random) -> list[str]:
        """Say something more, mostly about the same matter, before or after the question."""
        place = random.random()
        if place > 2 * self.background_ratio or not book.groups[group].background:
            return sentences
        if random.random() < _OTHER_GROUP_RATIO:
            group = random.choice([name for name, other in book.groups.items() if other.background])
        background = _choose(book.groups[group].background, book, random)
        return [background, *sentences] if place < self.background_ratio else [*sentences, background]


class DatasetUtterances(_Phrases, frozen=True):
    """Questions of an imported data set: in a chat as they are, read out on voice, framed in an e-mail.

    Attributes:
        texts: Customers' texts by intent.
        language: Of all texts.
    """

    texts: Mapping[str, Sequence[str]]
    language: str

    def ask(
        self,
        intent: str,
        language: str,
        channel: Channel,
        random: Random,
        *,
        again: bool = False,
        error_ratio: float = 0.0,
        renamed: Mapping[str, str] = _NOTHING,
    ) -> str:
        """See `Utterances.ask`."""
        book = load_phrasebook(language)
        text = _rename(random.choice(self._texts(intent, language)), renamed)
        if channel == "email" and not again:
            return write_email([text], language, random)
        if again or channel == "voice":
            text = _frame([text], book, channel, random, again=again)
        return text if channel == "chat" else _answer(text, book, language, channel, random, error_ratio)

    def reply(self, intent: str, language: str, question: str, random: Random) -> str:  # noqa: ARG002 - the protocol
        """See `Utterances.reply`; data sets hold no answers, so a colleague confirms."""
        self._texts(intent, language)
        return self.say("confirmations", language, "chat", "agent", random)

    def _texts(self, intent: str, language: str) -> Sequence[str]:
        if language != self.language:
            raise InvalidInput("language", f"{language[:20]!r} has no texts; this data set is {self.language!r}")
        if not self.texts.get(intent):
            raise InvalidInput("intent", f"{intent[:60]!r} has no texts in this data set; import some, or leave it out")
        return self.texts[intent]


def _choose(templates: Sequence[str], book: Phrasebook, random: Random) -> str:
    return expand(random.choice(templates), book.slots, random)


def _intent(book: Phrasebook, name: str) -> Intent:
    try:
        return book.intent(name)
    except KeyError as error:
        raise InvalidInput("intent", f"{name[:60]!r} is in no phrasebook; add it to phrases/*.toml") from error


def _frame(sentences: Sequence[str], book: Phrasebook, channel: Channel, random: Random, *, again: bool) -> str:
    """Put a greeting (or another lead-in) before and a polite or impatient word after, as some do."""
    phrases, lead = book.phrases, ""
    if again:
        lead = _choose(phrases.retries, book, random)
    elif channel == "voice" and random.random() < _START_RATIO:
        lead = _choose(book.voice.starts, book, random)
    elif random.random() < _OPENING_RATIO:
        lead = _choose(phrases.openings, book, random)
    first, *others = sentences
    continues = bool(lead) and not lead.endswith((".", "?", "!"))
    said = [punctuate(first, book.typing, continues=continues), *(punctuate(one, book.typing) for one in others)]
    if random.random() < _CLOSING_RATIO:
        said.append(_choose(phrases.closings, book, random))
    return " ".join([lead, *said] if lead else said)


def _answer(text: str, book: Phrasebook, language: str, channel: Channel, random: Random, error_ratio: float) -> str:
    if channel == "chat":
        return write_chat(punctuate(text, book.typing), book.typing, random)
    if channel == "voice":
        return transcribe(text, language, random, error_ratio=error_ratio)
    return write_answer(text, language, random)


def _rename(text: str, renamed: Mapping[str, str]) -> str:
    if not renamed:
        return text
    pattern, others = _renaming(tuple(renamed.items()))
    return pattern.sub(lambda match: others[match[0].lower()], text)


@lru_cache(maxsize=256)
def _renaming(renamed: tuple[tuple[str, str], ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    """A pattern of the words to replace, the longest first, and what stands for each."""
    others = {word.lower(): other for word, other in renamed}
    words = "|".join(re.escape(word) for word in sorted(others, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE), others


def _stems(text: str) -> frozenset[str]:
    return frozenset(word[:5] for word in _STEM.findall(text.lower()))


_reply_stems = cache(_stems)
