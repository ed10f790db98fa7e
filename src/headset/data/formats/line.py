"""Lines of a UTF-8 file, numbered, and bounded in length so that no file can exhaust the memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct

from headset.data.row import BadRow

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE_LIMIT = 16 * 2**20
"""Bytes in one line: a conversation of some thousand long turns."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UNDECODED = re.compile("[\udc80-\udcff]")


class Line(Struct, frozen=True):
    """One line with its number, counted from 1, and its line end."""

    number: int
    text: str


def read_lines(stream: BinaryIO, limit: int = LINE_LIMIT) -> Iterator[Line | BadRow]:
    r"""Split ``stream`` at line feeds; bytes that are not UTF-8 stay visible to :func:`is_undecodable`.

    >>> from io import BytesIO
    >>> [line.text for line in read_lines(BytesIO(b"\xef\xbb\xbfone\ntwo"))]
    ['one\n', 'two']
    """
    number = 0
    while content := stream.readline(limit + 1):
        number += 1
        if len(content) > limit:
            while not content.endswith(b"\n") and (content := stream.readline(limit)):
                pass
            yield BadRow(number, f"the line is longer than {limit} bytes; split it")
            continue
        if number == 1:
            content = content.removeprefix(_BYTE_ORDER_MARK)
        yield Line(number, content.decode("utf-8", "surrogateescape"))


def is_undecodable(text: str) -> bool:
    r"""Whether ``text`` came from bytes that are not UTF-8.

    >>> is_undecodable(b"caf\xe9".decode("utf-8", "surrogateescape"))
    True
    """
    return not text.isascii() and _UNDECODED.search(text) is not None
