"""Redaction: personal numbers and addresses leave the text before anything is stored.

What is found is replaced by its kind in brackets, so that the sentence keeps its meaning:
payment cards (13 to 19 digits that pass the Luhn check, ISO/IEC 7812-1), e-mail addresses, and
telephone numbers (8 to 15 digits, E.164 length). When in doubt a long number goes: a lost order
number costs less than a stored card.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[\w-]{1,63}\.)+[^\W\d_]{2,63}")
_CARD = re.compile(r"(?<!\d)\d(?:[ \u00a0.\-‐‑–]?\d){12,18}(?!\d)")
_PHONE = re.compile(r"(?<![\w.,])(?:\+|\(\+?)?\d(?:[ \u00a0().\-/‐‑–]{0,3}\d){7,14}(?![\d\w])")
_DATE_OR_TIME = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{2,4}")
_SUSPICIOUS = re.compile(r"[@\d]")


class Redacted(Struct, frozen=True):
    """A text fit to store, and how many of each kind were taken out."""

    text: str
    counts: dict[str, int]


def redact(text: str) -> Redacted:
    """Replace cards, e-mail addresses and phone numbers in ``text``.

    >>> redact("Card 4111 1111 1111 1111, mail ana@example.org or +34 600 123 456.").text
    'Card [card], mail [email] or [phone].'
    >>> redact("I paid 25.50 on 2026-11-22 for order 12345").counts
    {}
    """
    if not _SUSPICIOUS.search(text):
        return Redacted(text, {})
    counts: Counter[str] = Counter()
    text = _EMAIL.sub(_as("email", counts, _always), text)
    text = _CARD.sub(_as("card", counts, passes_luhn), text)
    text = _PHONE.sub(_as("phone", counts, _is_no_date), text)
    return Redacted(text, dict(counts))


def passes_luhn(number: str) -> bool:
    """Whether the digits of ``number`` pass the Luhn check (ISO/IEC 7812-1, annex B).

    >>> passes_luhn("4111 1111 1111 1111"), passes_luhn("4111 1111 1111 1112")
    (True, False)
    """
    digits = [int(character) for character in number if character.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _always(_: str) -> bool:
    return True


def _is_no_date(number: str) -> bool:
    return _DATE_OR_TIME.fullmatch(number) is None


def _as(kind: str, counts: Counter[str], holds: Callable[[str], bool]) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        if not holds(match.group()):
            return match.group()
        counts[kind] += 1
        return f"[{kind}]"

    return replace
