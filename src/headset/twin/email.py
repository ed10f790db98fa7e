"""How people write e-mails: subject, greeting, a lead, the question, who they are, thanks and a name.

Some write one line and nothing else, some as in a chat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.twin.chat import write_chat
from headset.twin.grammar import expand, punctuate
from headset.twin.phrasebook import load_phrasebook

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from headset.twin.phrasebook import Phrasebook

_SUBJECT = {"en": "Subject", "es": "Asunto", "de": "Betreff"}
_ONE_LINE_RATIO = 0.12
_CASUAL_RATIO = 0.3
_REFERENCE_DIGITS = (5, 6, 6, 7)  # fewer than redaction takes for a telephone number
_SUBJECT_WORDS = 6
_BACKGROUNDS = (0, 1, 2, 2, 3)  # sentences
_GOES_ON_SMALL = {"de"}  # after the comma of the greeting


def write_email(sentences: Sequence[str], language: str, random: Random, *, group: str | None = None) -> str:
    """An e-mail around ``sentences``.

    Args:
        sentences: What the customer wants to say, the question among it; end marks may be missing.
        language: Of the sentences; a phrasebook exists for it.
        random: Decides everything else.
        group: The matter, for the subject and more background; without it the question gives the subject.

    >>> from random import Random
    >>> print(write_email(["I moved", "how do I change my address"], "en", Random(1), group="account"))
    Subject: Customer account
    ...
    I'm getting in touch about the following. I moved. How do I change my address?
    ...
    """
    book = load_phrasebook(language)
    chance = random.random
    subject = _subject(sentences, book, group, random)
    if chance() < _ONE_LINE_RATIO:
        line = write_chat(" ".join(punctuate(sentence, book.typing) for sentence in sentences), book.typing, random)
        if chance() < 0.6:
            return f"{_SUBJECT[language]}: {subject}\n\n{line}"
        return f"{line}\n{random.choice(book.email.names)}" if chance() < 0.4 else line
    lines = [f"{_SUBJECT[language]}: {subject}", ""] if chance() < 0.93 else []
    greeting = expand(random.choice(book.email.greetings), book.slots, random) if chance() < 0.88 else ""
    body = _body(sentences, book, group, random, continues=language in _GOES_ON_SMALL and greeting.endswith(","))
    if chance() < _CASUAL_RATIO:
        body = write_chat(body, book.typing, random)
    if greeting:
        lines += [greeting, ""] if chance() < 0.8 else [greeting]
    lines += [body, *_sign(book, random)]
    return "\n".join(lines)


def write_answer(text: str, language: str, random: Random) -> str:
    """A short e-mail that answers: ``text`` with or without greeting and name."""
    book = load_phrasebook(language)
    lines = [punctuate(text, book.typing)]
    if random.random() < 0.4:
        lines = [expand(random.choice(book.email.greetings), book.slots, random), "", *lines]
    if random.random() < 0.7:
        lines += _sign(book, random)
    return "\n".join(lines)


def _subject(sentences: Sequence[str], book: Phrasebook, group: str | None, random: Random) -> str:
    if group is None:
        return " ".join(max(sentences, key=len).split()[:_SUBJECT_WORDS]).rstrip(",.;:?!")
    subject = expand(random.choice(book.groups[group].subjects), book.slots, random)
    return subject.lower() if random.random() < 0.12 else subject


def _body(sentences: Sequence[str], book: Phrasebook, group: str | None, random: Random, *, continues: bool) -> str:
    """The paragraphs between greeting and sign-off."""
    email, chance = book.email, random.random
    said = list(sentences)
    if chance() < 0.75:
        said.insert(0, expand(random.choice(email.leads), book.slots, random))
    background = book.groups[group].background if group else ()
    for template in random.sample(background, random.choice(_BACKGROUNDS)) if background else ():
        more = expand(template, book.slots, random)
        if more not in said:
            said.insert(random.choice((1, len(said))), more)
    first, *others = said
    said = [punctuate(first, book.typing, continues=continues), *(punctuate(one, book.typing) for one in others)]
    text = " ".join(said)
    if chance() < 0.65:
        digits = random.choice(_REFERENCE_DIGITS)
        number = str(random.randrange(10 ** (digits - 1), 10**digits))
        detail = expand(random.choice(email.details), {**book.slots, "reference": (number,)}, random)
        text += random.choice((" ", "\n", "\n\n")) + detail
    if chance() < 0.65:
        text += random.choice(("\n", "\n\n")) + expand(random.choice(email.thanks), book.slots, random)
    return text


def _sign(book: Phrasebook, random: Random) -> list[str]:
    """The lines after the body: sign-off, name, what the device adds."""
    email, chance = book.email, random.random
    lines = [""]
    if chance() < 0.85:
        lines.append(random.choice(email.signoffs))
    if chance() < 0.92 or len(lines) == 1:
        lines.append(random.choice(email.names))
    if chance() < 0.2:
        lines += ["", random.choice(email.footers)]
    return lines
