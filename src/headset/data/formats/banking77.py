"""BANKING77 as published: CSV with the columns ``text`` and ``category``; one file to train on, one to test.

Casanueva et al., "Efficient Intent Detection with Dual Sentence Encoders", 2020, arXiv 2003.04807.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from headset.data.formats.labelled_csv import parse_columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headset.data.row import BadRow, Row


def parse(stream: BinaryIO) -> Iterator[Row | BadRow]:
    r"""Read the rows of one file.

    Raises:
        InvalidInput: the header is not that of BANKING77.

    >>> from io import BytesIO
    >>> next(parse(BytesIO(b"text,category\nWhere is my card?,card_arrival\n"))).label
    'card_arrival'
    """
    return parse_columns(stream, text="text", label="category")
