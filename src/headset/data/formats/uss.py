"""User Satisfaction Simulation as published: tab-separated speaker, text, action and satisfaction.

Sun et al., "Simulating User Satisfaction for the Evaluation of Task-oriented Dialogue Systems", 2021,
arXiv 2105.03748. A blank line ends a dialogue. Customer turns carry one satisfaction from 1 to 5 per rater
(``3,4,4``); a customer line with the text ``OVERALL`` rates the dialogue. The action is not read: it names
a dialogue act, not an intent.
"""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, BinaryIO, Literal

from headset.data.formats.line import Line, is_undecodable, read_lines
from headset.data.row import BadRow, Dialogue, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE_LIMIT = 10_000
_COLUMNS = 4
_SPEAKERS: dict[str, Literal["customer", "bot"]] = {"USER": "customer", "SYSTEM": "bot"}
_OVERALL = "OVERALL"


def parse(stream: BinaryIO) -> Iterator[Dialogue | BadRow]:
    r"""Read dialogues; one with a bad line is left out whole, because its turns answer each other.

    >>> from io import BytesIO
    >>> lines = b"USER\tHello.\tGREET\t4,5\nSYSTEM\tHi!\tGREET\t\nUSER\tOVERALL\t\t4,4\n"
    >>> dialogue, = parse(BytesIO(lines))
    >>> [turn.speaker for turn in dialogue.turns], dialogue.csat
    (['customer', 'bot'], 4.0)
    """
    block: list[Line | BadRow] = []
    for line in read_lines(stream):
        if isinstance(line, Line) and not line.text.strip():
            yield from _read_dialogue(block)
            block = []
        elif len(block) <= LINE_LIMIT:
            block.append(line)
    yield from _read_dialogue(block)


def _read_dialogue(block: list[Line | BadRow]) -> Iterator[Dialogue | BadRow]:
    if not block:
        return
    first = block[0].number
    if len(block) > LINE_LIMIT:
        yield BadRow(first, f"begins a dialogue of over {LINE_LIMIT} lines; end each by a blank line")
        return
    read = [_read_turn(line) for line in block]
    problems = [(line.number, turn) for line, turn in zip(block, read, strict=True) if isinstance(turn, str)]
    if problems:
        for number, problem in problems:
            yield BadRow(number, f"{problem}; the dialogue that begins at line {first} is left out")
        return
    turns = [turn for turn in read if isinstance(turn, Turn)]
    overall = [rating for turn in turns if turn.text == _OVERALL for rating in turn.ratings]
    yield Dialogue(
        number=first,
        turns=tuple(turn for turn in turns if turn.text != _OVERALL),
        ratings=tuple(overall),
        csat=fmean(overall) if overall else None,
    )


def _read_turn(line: Line | BadRow) -> Turn | str:
    """The turn on a line, or what is wrong with it."""
    if isinstance(line, BadRow):
        return line.problem
    if is_undecodable(line.text):
        return "is not UTF-8; save the file in UTF-8"
    columns = line.text.rstrip("\r\n").split("\t")
    if len(columns) != _COLUMNS:
        return f"has {len(columns)} columns, expected speaker, text, action and satisfaction between tabs"
    name, text, _, scores = columns
    speaker = _SPEAKERS.get(name)
    if speaker is None:
        return f"has the speaker {name[:40]!r}, expected USER or SYSTEM"
    ratings = tuple(scores.split(",")) if scores.strip() else ()
    if not {"1", "2", "3", "4", "5"}.issuperset(ratings):
        return f"has the satisfaction {scores[:40]!r}, expected one number from 1 to 5 per rater, as in 3,4,4"
    return Turn(speaker, text, ratings=tuple(map(int, ratings)))
