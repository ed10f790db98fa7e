"""Redaction: personal numbers and addresses leave the text before anything is stored.

What is found is replaced by its kind in brackets, so that the sentence keeps its meaning:
payment cards (13 to 19 digits that pass the Luhn check, ISO/IEC 7812-1), e-mail addresses, and
telephone numbers (8 to 15 digits, E.164 length) and longer numbers. When in doubt a long number goes: a lost order
number costs less than a stored card. Dates, times and amounts of money stay.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import accumulate

from msgspec import Struct

_DASH = r"\-\u2010-\u2015\u2212"
_SPACE = r"\s\u200b-\u200d\u2060\ufeff"
_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}[ \t]?[@\uff20][ \t]?(?:[\w-]{1,63}\.)+[^\W\d_]{2,63}")
_LONG = re.compile(rf"\d(?:[{_SPACE}{_DASH}.,/_·•*]{{0,3}}\d){{12,}}")
_GROUP = re.compile(r"\d+")
_NUMBER = re.compile(rf"(?<!\w)(?:\+|\(\+?)?\d(?:[{_SPACE}{_DASH}().,/]{{0,3}}\d){{7,}}(?!\w)")
_PHONE_DIGITS = 15
_CARD_DIGITS = (13, 19)
_CARD_START = re.compile(r"[3-6]|2[2-7]|8[12]|9792")  # networks' ranges

_DAY = r"(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./](?:\d{4}|\d{2})|(?:19|20)\d\d)(?: \d{1,2})?"
_MONEY = r"(?:\d{1,3}(?:[.,]\d{3})+(?:[.,]\d{1,2})?|\d{1,3}(?:[ \u00a0]\d{3})+[.,]\d{2}|\d+[.,]\d{1,2})"
_DAYS_AND_AMOUNTS = re.compile(rf"(?:{_DAY}|{_MONEY})(?:[{_SPACE}{_DASH}/,]{{1,3}}(?:{_DAY}|{_MONEY}))*", re.ASCII)
_THOUSANDS = re.compile(r"\d{3}\.\d{3}\.\d{3}", re.ASCII)  # as often a telephone number
_SUSPICIOUS = re.compile(r"[@\uff20\d]")


class Redacted(Struct, frozen=True):
    """A text fit to store, and how many of each kind were taken out."""

    text: str
    counts: dict[str, int]


def redact(text: str) -> Redacted:
    """Replace cards, e-mail addresses and phone numbers in ``text``; redacting again changes nothing.

    >>> redact("Card 4111 1111 1111 1111, mail ana@example.org or +34 600 123 456.").text
    'Card [card], mail [email] or [phone].'
    >>> redact("I paid 25.50 on 2026-11-22 for order 12345").counts
    {}
    """
    counts: Counter[str] = Counter()
    while _SUSPICIOUS.search(text):
        before = text
        text = _EMAIL.sub(lambda _: _counted("email", counts), text)
        text = _LONG.sub(lambda match: _without_cards(match.group(), counts), text)
        text = _NUMBER.sub(lambda match: _without_phone(match.group(), counts), text)
        if text == before:
            break
    return Redacted(text, dict(counts))


def passes_luhn(number: str) -> bool:
    """Whether the digits of ``number`` pass the Luhn check (ISO/IEC 7812-1, annex B).

    >>> passes_luhn("4111 1111 1111 1111"), passes_luhn("4111 1111 1111 1112")
    (True, False)
    """
    digits = [int(character) for character in number if character.isdecimal()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _without_cards(sequence: str, counts: Counter[str]) -> str:
    """``sequence``, of digits and separators, with each card replaced along with the groups it touches.

    The whole sequence is a card when it passes the check; a part must also begin as cards do.
    """
    groups = [match.span() for match in _GROUP.finditer(sequence)]
    shortest, longest = _CARD_DIGITS
    if shortest <= sum(end - start for start, end in groups) <= longest and passes_luhn(sequence):
        return _counted("card", counts)
    kept, position, first = [], 0, 0
    while first < len(groups):
        last = _last_group_of_card(sequence, groups[first : first + longest])
        if last is not None:
            kept += [sequence[position : groups[first][0]], _counted("card", counts)]
            first += last
            position = groups[first][1]
        first += 1
    return "".join([*kept, sequence[position:]])


def _last_group_of_card(sequence: str, groups: list[tuple[int, int]]) -> int | None:
    """The last group of the longest card that begins with the first of ``groups``, if one does.

    A group alone is a card when its beginning or end is one: a security code may stick to the number.
    """
    shortest, longest = _CARD_DIGITS
    digits = "".join(sequence[start:end] for start, end in groups)
    lengths = list(accumulate(end - start for start, end in groups))
    if _starts_as_card(digits):
        for last in reversed(range(len(groups))):
            if shortest <= lengths[last] <= longest and passes_luhn(digits[: lengths[last]]):
                return last
    return 0 if lengths[0] >= shortest and _holds_card(digits[: lengths[0]]) else None


def _holds_card(digits: str) -> bool:
    """Whether an unbroken number begins or ends with a card's number."""
    shortest, longest = _CARD_DIGITS
    parts = (
        part
        for length in range(shortest, min(longest, len(digits)) + 1)
        for part in (digits[:length], digits[-length:])
    )
    return any(_starts_as_card(part) and passes_luhn(part) for part in parts)


def _starts_as_card(digits: str) -> bool:
    return _CARD_START.match("".join(str(int(digit)) for digit in digits[:4])) is not None


def _without_phone(number: str, counts: Counter[str]) -> str:
    if _DAYS_AND_AMOUNTS.fullmatch(number) and not _THOUSANDS.fullmatch(number):
        return number
    digits = sum(map(str.isdecimal, number))
    return _counted("phone" if digits <= _PHONE_DIGITS else "number", counts)


def _counted(kind: str, counts: Counter[str]) -> str:
    counts[kind] += 1
    return f"[{kind}]"
