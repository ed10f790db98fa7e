from __future__ import annotations

import csv
from io import BytesIO, StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.core.errors import InvalidInput
from headset.data.formats import banking77, line
from headset.data.formats.labelled_csv import parse
from headset.data.row import BadRow, Row


def read(content):
    return list(parse(BytesIO(content)))


def numbers_and_texts(content):
    return [(item.number, item.text if isinstance(item, Row) else None) for item in read(content)]


def test_rows_are_numbered_by_their_first_line():
    content = b'text,label\none,a\n"two\nlines",b\r\n\nfour,c'
    assert read(content) == [Row(2, "one", "a"), Row(3, "two\nlines", "b"), Row(6, "four", "c")]


def test_other_columns_are_ignored_and_a_byte_order_mark_is_tolerated():
    assert read(b"\xef\xbb\xbfid,label , text\n1,a,hello\n") == [Row(2, "hello", "a")]


def test_a_row_that_is_not_utf_8_is_reported_and_the_others_go_in():
    assert numbers_and_texts(b"text,label\none,a\ncaf\xe9,b\nthree,c\n") == [(2, "one"), (3, None), (4, "three")]


def test_a_wrong_column_count_is_reported():
    found = read(b"text,label\none, two,a\nlonely\nok,b\n")
    assert [item.number for item in found if isinstance(item, BadRow)] == [2, 3]
    assert "has 3 columns, the header has 2" in found[0].problem


def test_a_quote_that_is_never_closed_costs_one_row_only():
    content = b'text,label\n"oops,a\ngood one,b\n"fine, too",c\n'
    assert numbers_and_texts(content) == [(2, None), (3, "good one"), (4, "fine, too")]


def test_a_quote_that_is_never_closed_does_not_swallow_a_long_file():
    content = b'text,label\n"oops,a\n' + b"good,b\n" * 5_000
    found = read(content)
    assert (found[0].number, len(found)) == (2, 5_001)
    assert all(isinstance(item, Row) for item in found[1:])


def test_a_line_over_the_limit_is_reported_and_skipped(monkeypatch):
    monkeypatch.setattr(line.read_lines, "__defaults__", (64,))
    long = b"x" * 200
    assert numbers_and_texts(b"text,label\n" + long + b",a\nok,b\n") == [(2, None), (3, "ok")]
    assert numbers_and_texts(b'text,label\n"one\n' + long + b'",a\nok,b\n') == [(2, None), (3, None), (4, "ok")]


@pytest.mark.parametrize(
    "content", [b"", b"text;label\na;b\n", b"text\n", b"text,text,label\n", b"\xff\xfet\x00e\x00", b'"']
)
def test_a_file_without_the_two_headings_is_refused(content):
    with pytest.raises(InvalidInput, match="must begin with a header line that names text and label"):
        read(content)


def test_banking77_has_its_own_headings():
    assert list(banking77.parse(BytesIO(b"text,category\nWhere?,card_arrival\n"))) == [Row(2, "Where?", "card_arrival")]
    with pytest.raises(InvalidInput, match="names text and category"):
        list(banking77.parse(BytesIO(b"text,label\na,b\n")))


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fail(content):
    assert all(isinstance(item, Row | BadRow) for item in read(b"text,label\n" + content))


# Line ends other than the file's own would be read as ends of rows; labels lose the space around them.
cell = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"))


@given(st.lists(st.tuples(cell, cell)))
def test_what_a_csv_writer_writes_is_read_back(rows):
    file = StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows([("text", "label"), *rows])
    found = read(file.getvalue().encode())
    assert [(row.text, row.label) for row in found] == [(text, label.strip()) for text, label in rows]
