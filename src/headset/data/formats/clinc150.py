"""CLINC150 as published: one JSON object of splits, each a list of ``[text, intent]``.

Larson et al., "An Evaluation Dataset for Intent Classification and Out-of-Scope Prediction", 2019,
arXiv 1909.02027. The train and validation splits make the data set NAME, the test splits NAME-test; the
out-of-scope texts carry the label ``oos`` of the publication.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import msgspec

from headset.core.errors import InvalidInput
from headset.data.row import BadRow, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE_LIMIT = 256 * 2**20
"""Bytes; the published file has 2 MB, and JSON of one object cannot be read in pieces."""

_PARTS = {"train": "", "val": "", "oos_train": "", "oos_val": "", "test": "-test", "oos_test": "-test"}
_EXPECTED = "must be one JSON object with the splits train, val and test, each a list of [text, intent]"


def parse(stream: BinaryIO) -> Iterator[Row | BadRow]:
    """Read all splits; rows are numbered through the file from 1.

    Raises:
        InvalidInput: the file is no JSON object of splits.

    >>> from io import BytesIO
    >>> list(parse(BytesIO(b'{"test": [["hi", "greeting"]]}')))
    [Row(number=1, text='hi', label='greeting', part='-test')]
    """
    content = stream.read(SIZE_LIMIT + 1)
    if len(content) > SIZE_LIMIT:
        raise InvalidInput("file", f"is larger than {SIZE_LIMIT} bytes; convert it to csv, which is streamed")
    try:
        splits = msgspec.json.decode(content, type=dict[str, list[msgspec.Raw]])
    except (ValueError, RecursionError) as error:
        raise InvalidInput("file", f"{_EXPECTED}; {error}") from None
    if not splits.keys() & _PARTS.keys():
        raise InvalidInput("file", f"{_EXPECTED}; it has {', '.join(sorted(splits))[:80] or 'none'}")
    number = 0
    for split, rows in splits.items():
        for row in rows:
            number += 1
            yield _row(number, split, row)


def _row(number: int, split: str, raw: msgspec.Raw) -> Row | BadRow:
    if split not in _PARTS:
        return BadRow(number, f"belongs to the unknown split {split[:40]!r}; known are {', '.join(_PARTS)}")
    try:
        text, label = msgspec.json.decode(raw, type=tuple[str, str])
    except (ValueError, RecursionError) as error:
        return BadRow(number, f"is not a pair [text, intent] ({error})")
    return Row(number, text, label.strip(), _PARTS[split])
