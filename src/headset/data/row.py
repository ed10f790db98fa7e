"""What a file of conversations is made of, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from msgspec import Struct

from headset.events.schema import Resolution, Speaker


class Row(Struct, frozen=True):
    """One text and its intent. ``number`` is the line, counted from 1, where it begins.

    ``part`` is added to the data set's name: ``-test`` for what must not be trained on.
    """

    number: int
    text: str
    label: str
    part: str = ""


class Turn(Struct, frozen=True):
    """One message of a dialogue. ``time`` is in microseconds since the epoch; ratings run from 1 to 5."""

    speaker: Speaker
    text: str
    time: int | None = None
    intent: str | None = None
    agent_id: str | None = None
    ratings: tuple[int, ...] = ()


class Dialogue(Struct, frozen=True, kw_only=True):
    """One conversation from its first message to its outcome, as far as the file tells."""

    number: int
    turns: tuple[Turn, ...]
    conversation_id: str | None = None
    customer_id: str | None = None
    channel: str = "chat"
    language: str = "en"
    queue: str = "default"
    started: int | None = None
    attributes: dict[str, str] = {}
    ratings: tuple[int, ...] = ()
    resolution: Resolution | None = None
    handle_time_s: float | None = None
    csat: float | None = None


class BadRow(Struct, frozen=True):
    """A row that was kept out, and why."""

    number: int
    problem: str


Item = Row | Dialogue | BadRow

Parser = Callable[[BinaryIO], Iterator[Item]]
"""Reads a format from the start of a file, in bounded memory.

What is wrong with one row is yielded as a :class:`BadRow`. ``InvalidInput`` is raised only when the
file as a whole is of another format; its problem completes the sentence "FILE …".
"""
