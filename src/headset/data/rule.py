"""What a row must fulfil to go into the log, whichever format it came from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from headset.core.clock import MICROSECONDS, iso
from headset.core.errors import InvalidInput
from headset.data.row import Dialogue, Row
from headset.events.door import check_text

if TYPE_CHECKING:
    from headset.data.row import Turn

LABEL_LIMIT = 128
FUTURE_TOLERANCE_S = 86_400
"""A file's clock may be off by a time zone; a conversation of the day after tomorrow is a mistake."""

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_CONVERSATION_ID = re.compile(r"[A-Za-z0-9._:-]{1,88}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


def check_name(name: str) -> None:
    """Refuse a name that cannot be part of identifiers and file names.

    Raises:
        InvalidInput: it is empty, longer than 32 characters, or holds other characters than these.

    >>> check_name("my bank")
    Traceback (most recent call last):
    headset.core.errors.InvalidInput: name: 'my bank' is no data set name; use 1 to 32 of A-Z a-z 0-9 . _ -
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput("name", f"{name[:40]!r} is no data set name; use 1 to 32 of A-Z a-z 0-9 . _ -")


def check_row(row: Row | Dialogue, *, now: int) -> None:
    """Refuse a row that must be kept out. ``now`` is in microseconds since the epoch.

    Raises:
        InvalidInput: names the field and what is wrong with it.
    """
    if isinstance(row, Row):
        check_text(row.text, field="text")
        _check_label(row.label, field="label")
    else:
        _check_dialogue(row, now + FUTURE_TOLERANCE_S * MICROSECONDS)


def _check_dialogue(dialogue: Dialogue, latest: int) -> None:
    if not dialogue.turns:
        raise InvalidInput("turns", "is empty; a conversation has at least one turn")
    _check_id(dialogue.conversation_id, field="conversation_id", pattern=_CONVERSATION_ID)
    _check_id(dialogue.customer_id, field="customer_id")
    _check_id(dialogue.channel, field="channel")
    _check_id(dialogue.language, field="language")
    _check_id(dialogue.queue, field="queue")
    _check_time(dialogue.started, latest, field="started")
    for name, value in dialogue.attributes.items():
        _check_id(name, field="attributes")
        _check_label(value, field=f"attributes.{name}")
    for index, turn in enumerate(dialogue.turns):
        _check_turn(turn, latest, field=f"turns[{index}]")


def _check_turn(turn: Turn, latest: int, *, field: str) -> None:
    check_text(turn.text, field=f"{field}.text")
    _check_time(turn.time, latest, field=f"{field}.time")
    _check_id(turn.agent_id, field=f"{field}.agent_id")
    if turn.intent is not None:
        _check_label(turn.intent, field=f"{field}.intent")


def _check_label(label: str, *, field: str) -> None:
    if not label.strip():
        raise InvalidInput(field, "is missing; every text needs the name of its intent")
    if len(label) > LABEL_LIMIT or not label.isprintable():
        raise InvalidInput(field, f"{label[:40]!r} is no label; use up to {LABEL_LIMIT} printable characters")


def _check_id(identifier: str | None, *, field: str, pattern: re.Pattern[str] = _ID) -> None:
    if identifier is not None and not pattern.fullmatch(identifier):
        raise InvalidInput(field, f"{identifier[:40]!r} does not match {pattern.pattern}")


def _check_time(time: int | None, latest: int, *, field: str) -> None:
    if time is not None and not 0 <= time <= latest:
        raise InvalidInput(field, f"lies before 1970 or after {iso(latest)}; check the clock that wrote it")
