from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.core.errors import InvalidInput
from headset.data.formats.clinc150 import parse
from headset.data.row import BadRow, Row


def read(content):
    return list(parse(BytesIO(content)))


def test_training_and_test_splits_are_told_apart():
    content = b"""{"oos_val": [["who am i", "oos"]], "val": [["hi", "greeting"]], "train": [["bye", "goodbye"]],
        "oos_test": [["what is art", "oos"]], "test": [["hello", "greeting"]]}"""
    assert [(row.text, row.label, row.part) for row in read(content)] == [
        ("who am i", "oos", ""),
        ("hi", "greeting", ""),
        ("bye", "goodbye", ""),
        ("what is art", "oos", "-test"),
        ("hello", "greeting", "-test"),
    ]


def test_bad_items_are_reported_by_number():
    found = read(b'{"train": [["a", "b"], ["c"], 7, ["d\xff", "e"], ["f", "g"]], "extra": [["h", "i"]]}')
    assert [item.number for item in found if isinstance(item, BadRow)] == [2, 3, 4, 6]
    assert [item.text for item in found if isinstance(item, Row)] == ["a", "f"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"train": 1}', b'{"rows": []}', b"text,label", b"[" * 50_000])
def test_another_file_is_refused(content):
    with pytest.raises(InvalidInput, match="must be one JSON object with the splits"):
        read(content)


@given(st.binary(max_size=100))
def test_no_bytes_make_the_reader_fail(content):
    assert all(isinstance(item, Row | BadRow) for item in read(b'{"train": [["a", "b"]], "val": []}'))
    try:
        found = read(b'{"train": [[' + content + b"]]}")
    except InvalidInput:
        return
    assert all(isinstance(item, Row | BadRow) for item in found)
