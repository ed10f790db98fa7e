"""How a telephone call reads in the transcript of a speech recogniser.

Everything is in small letters and without marks, numbers are words, callers hesitate and begin again,
and some words were heard wrong.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from num2words import num2words  # type: ignore[import-untyped]  # it ships no types
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from headset.twin.phrasebook import load_phrasebook

if TYPE_CHECKING:
    from random import Random

    from headset.twin.phrasebook import Voice

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_SLOT = re.compile(r"\{\w+\}")
_ALIKE = 3  # words
_ALIKE_SCORE = 0.5  # share of letters in common
_FILLER_RATIO = 0.02  # chance per word
_PAUSE_FILLER_RATIO = 0.12  # the same, between clauses
_REPEAT_RATIO = 0.012
_RESTART_RATIO = 0.006
_DIGITWISE = 5  # digits; shorter numbers are said as one amount
_LONGEST_AMOUNT = 9  # digits
_POINT = {"en": "point", "es": "coma", "de": "komma"}
_WITH_CENTS = {"en": "", "es": "con ", "de": ""}
_ORDINAL = {
    "en": r"(?P<ordinal>\d{1,2})(?:st|nd|rd|th)\b",
    "es": r"(?P<ordinal>\d{1,2})\.?[ºª°]",
    "de": r"(?P<ordinal>(?<![\w.,])\d{1,2})\.(?= (?:[a-zäöü]|Januar|Jänner|Februar|März|April|Mai|Juni|Juli|August"
    r"|September|Oktober|November|Dezember))",
}
_ALSO_SAID = {"en": {"zero": "oh"}, "es": {}, "de": {"zwei": "zwo"}}
_BEFORE_NOUN = {"en": {}, "es": {"veintiuno": "veintiún", "uno": "un"}, "de": {"eins": "ein"}}


def transcribe(text: str, language: str, random: Random, *, error_ratio: float) -> str:
    """``text`` as a recogniser writes down what a caller said.

    Args:
        text: What the caller wants to say, as written.
        language: Of the text; a phrasebook exists for it.
        random: Decides hesitations first and errors last: equal seeds give the same call at any ``error_ratio``.
        error_ratio: Chance of each word to be misheard, lost, doubled or cut, 0 to 1 (about the word error rate).

    >>> from random import Random
    >>> transcribe("I paid $19.99 for order 48213.", "en", Random(7), error_ratio=0)
    'i paid nineteen ninety nine for order four eight two one three'
    """
    voice = load_phrasebook(language).voice
    text = " ".join(_hesitate(text.split(), voice, random))
    text = _spoken(language).sub(lambda match: f" {_say(match, language, random)} ", text)
    words = _WORD.findall(text.lower())
    if error_ratio:
        words = _mishear(words, language, random, error_ratio)
    return " ".join(words) or random.choice(voice.fillers).lower()


@cache
def _spoken(language: str) -> re.Pattern[str]:
    """What is not said as it is written: signs, abbreviations, amounts of money, numbers."""
    signs = "|".join(_bounded(sign) for sign in sorted(_signs(language), key=len, reverse=True))
    number = r"\d+(?:[.,]\d{3}(?!\d))*(?:[.,]\d{1,2}(?!\d))?"
    return re.compile(
        rf"(?P<before>[$€£])\s?(?P<price>{number})|(?P<cost>{number})\s?(?P<after>[$€£])"
        rf"|(?P<sign>(?i:{signs}))|{_ORDINAL[language]}|(?P<number>{number})"
    )


def _bounded(sign: str) -> str:
    """A pattern for a sign anywhere and an abbreviation as a word; a number may stand right before it."""
    start = r"(?<![^\W\d_])" if sign[0].isalnum() else ""
    return start + re.escape(sign) + (r"(?![^\W_])" if sign[-1].isalnum() else "")


@cache
def _signs(language: str) -> dict[str, str]:
    return {sign.lower(): said.lower() for sign, said in load_phrasebook(language).voice.spoken.items()}


def _say(match: re.Match[str], language: str, random: Random) -> str:
    said = match.groupdict()
    if said["number"]:
        return _say_number(said["number"], language, random)
    if said["ordinal"]:
        return _number_words(int(said["ordinal"]), language, ordinal=True)
    currency = said["before"] or said["after"]
    if currency:
        unit = _signs(language).get(currency, "")
        return _say_price(said["price"] or said["cost"], unit, language, random)
    return _signs(language)[said["sign"].lower()]


def _say_number(number: str, language: str, random: Random) -> str:
    whole, part = _split(number)
    if part:
        return f"{_say_amount(whole, language)} {_POINT[language]} {_say_digits(part, language)}"
    if len(whole) < _DIGITWISE:
        return _say_amount(whole, language)
    digits = _say_digits(whole, language)
    if random.random() < 0.4:
        for usual, other in _ALSO_SAID[language].items():
            digits = digits.replace(usual, other)
    return digits


def _say_price(price: str, unit: str, language: str, random: Random) -> str:
    whole, part = _split(price)
    amount = _say_amount(whole, language)
    cents = _number_words(int(part.ljust(2, "0")), language) if part.strip("0") else ""
    if cents and random.random() < 0.5:
        return f"{amount} {_WITH_CENTS[language]}{cents}"
    if whole == "1":
        unit = unit.removesuffix("s")
    for alone, before_noun in _BEFORE_NOUN[language].items():
        if amount.endswith(alone):
            amount = amount.removesuffix(alone) + before_noun
            break
    return f"{amount} {unit} {_WITH_CENTS[language]}{cents}" if cents else f"{amount} {unit}"


def _say_amount(digits: str, language: str) -> str:
    return _number_words(int(digits), language) if len(digits) <= _LONGEST_AMOUNT else _say_digits(digits, language)


def _say_digits(digits: str, language: str) -> str:
    return " ".join(_number_words(int(digit), language) for digit in digits)


def _split(number: str) -> tuple[str, str]:
    """The digits before and after the decimal sign; groups of three are thousands."""
    groups = re.split("[.,]", number)
    part = groups.pop() if len(groups) > 1 and len(groups[-1]) < 3 else ""
    return "".join(groups), part


@lru_cache(maxsize=10_000)
def _number_words(number: int, language: str, *, ordinal: bool = False) -> str:
    said = str(num2words(number, lang=language, to="ordinal" if ordinal else "cardinal"))
    if ordinal and language == "de":
        said += "n"  # on, to, from the fifteenth: the dative
    return said.replace("-", " ").replace(",", "").lower()


def _hesitate(words: list[str], voice: Voice, random: Random) -> list[str]:
    """Put in fillers, mostly between clauses, repeated words and restarts."""
    said: list[str] = []
    filler_ratio = _FILLER_RATIO
    for at, word in enumerate(words):
        draw = random.random()
        if draw < filler_ratio:
            said.append(random.choice(voice.fillers))
        elif draw > 1 - _REPEAT_RATIO:
            said.append(word)
        elif draw > 1 - _REPEAT_RATIO - _RESTART_RATIO and at >= 2:
            said += [random.choice(voice.fillers), words[at - 2], words[at - 1]]
        said.append(word)
        filler_ratio = _FILLER_RATIO if word[-1].isalnum() else _PAUSE_FILLER_RATIO
    return said


def _mishear(words: list[str], language: str, random: Random, error_ratio: float) -> list[str]:
    heard: list[str] = []
    for word in words:
        if random.random() >= error_ratio:
            heard.append(word)
            continue
        draw = random.random()
        if draw < 0.75 and (alike := _sound_alikes(word, language)):
            heard.append(random.choice(alike))
        elif draw < 0.85 and len(word) > 3:
            heard.append(word[:-1])
        elif draw > 0.95:
            heard += [word, word]
    return heard


@lru_cache(maxsize=50_000)
def _sound_alikes(word: str, language: str) -> tuple[str, ...]:
    """What ``word`` may be taken for: what the phrasebook says, else the words of the language most like it."""
    known = _misheard(language).get(word)
    if known:
        return known
    alike = process.extract(
        word,
        _vocabulary(language),
        scorer=Levenshtein.normalized_similarity,
        limit=_ALIKE + 1,
        score_cutoff=_ALIKE_SCORE,
    )
    return tuple(other for other, _, _ in alike if other != word)[:_ALIKE]


@cache
def _misheard(language: str) -> dict[str, tuple[str, ...]]:
    misheard = load_phrasebook(language).voice.misheard
    return {word.lower(): tuple(map(_plain, others)) for word, others in misheard.items()}


@cache
def _vocabulary(language: str) -> tuple[str, ...]:
    """The words that customers of the language use."""
    book = load_phrasebook(language)
    texts = chain.from_iterable(intent.asks for intent in book.intents.values())
    backgrounds = chain.from_iterable(group.background for group in book.groups.values())
    words = {word for text in chain(texts, backgrounds) for word in _plain(_SLOT.sub(" ", text)).split()}
    return tuple(sorted(word for word in words if not any(map(str.isdecimal, word))))


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))
