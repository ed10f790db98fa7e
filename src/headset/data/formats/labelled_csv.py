"""CSV with a header (RFC 4180): columns ``text`` and ``label``; other columns are ignored.

The standard library's reader does the quoting. What it cannot do is go on after a quote that is never
closed: it would swallow the rest of the file. Here the record is reported at its first line and reading
resumes at the next one.
"""

from __future__ import annotations

import csv
from collections import deque
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct

from headset.core.errors import InvalidInput
from headset.data.formats.line import Line, is_undecodable, read_lines
from headset.data.row import BadRow, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD_LINES = 1_000
RECORD_CHARACTERS = 2**20
_NEVER_CLOSED = "opens a quote that is never closed; double the quotes inside a text and close it"


def parse(stream: BinaryIO) -> Iterator[Row | BadRow]:
    r"""Read rows of ``text`` and ``label``.

    Raises:
        InvalidInput: the header lacks one of the two columns.

    >>> from io import BytesIO
    >>> list(parse(BytesIO(b"id,text,label\n7,Where is my card?,card_arrival\n")))
    [Row(number=2, text='Where is my card?', label='card_arrival', part='')]
    """
    return parse_columns(stream, text="text", label="label")


def parse_columns(stream: BinaryIO, *, text: str, label: str) -> Iterator[Row | BadRow]:
    """Read rows whose text and label stand under these headings.

    Raises:
        InvalidInput: the header lacks one of the two columns.
    """
    records = _read_records(stream)
    heading = next(records, None)
    names = [name.strip() for name in heading.fields] if isinstance(heading, _Record) else []
    if names.count(text) != 1 or names.count(label) != 1:
        raise InvalidInput(
            "file",
            f"must begin with a header line that names {text} and {label} once each, separated by commas, "
            f"in UTF-8; it begins with {','.join(names)[:80]!r}",
        )
    text_at, label_at = names.index(text), names.index(label)
    for record in records:
        if isinstance(record, BadRow):
            yield record
        elif len(record.fields) != len(names):
            count, expected = len(record.fields), len(names)
            problem = f"has {count} columns, the header has {expected}; quote texts that hold commas"
            yield BadRow(record.number, problem)
        elif any(map(is_undecodable, record.fields)):
            yield BadRow(record.number, "is not UTF-8; save the file in UTF-8")
        else:
            yield Row(record.number, record.fields[text_at], record.fields[label_at].strip())


class _Record(Struct, frozen=True):
    number: int
    fields: list[str]


class _Lines:
    """Feeds the CSV reader, and remembers what the current record took so that it can be given back.

    Ends early, which the reader reports as an open quote, when a record grows past the limits or meets a
    line that is too long to read.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._fresh = read_lines(stream)
        self._returned: deque[Line] = deque()
        self._size = 0
        self.taken: list[Line] = []
        self.too_long: list[BadRow] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= RECORD_LINES or self._size > RECORD_CHARACTERS:
            raise StopIteration
        line = self._returned.popleft() if self._returned else self._next_fresh()
        self.taken.append(line)
        self._size += len(line.text)
        return line.text

    def begin_record(self) -> None:
        self.taken.clear()
        self._size = 0

    def give_back(self) -> Line:
        """Return all lines of the record but the first, which is the answer."""
        self._returned.extendleft(reversed(self.taken[1:]))
        return self.taken[0]

    def _next_fresh(self) -> Line:
        for line in self._fresh:
            if isinstance(line, Line):
                return line
            self.too_long.append(line)
            if self.taken:
                break
        raise StopIteration


def _read_records(stream: BinaryIO) -> Iterator[_Record | BadRow]:
    lines = _Lines(stream)
    reader = csv.reader(lines, strict=True)
    while True:
        lines.begin_record()
        fields: list[str] = []
        ended = False
        try:
            fields = next(reader)
        except StopIteration:
            ended = True
        except csv.Error as error:
            problem = _NEVER_CLOSED if "unexpected end" in str(error) else f"is not CSV ({error})"
            yield BadRow(lines.give_back().number, problem)
        yield from lines.too_long
        lines.too_long.clear()
        if ended:
            return
        if fields:
            yield _Record(lines.taken[0].number, fields)
