from __future__ import annotations

from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st

from headset.data.formats import uss
from headset.data.formats.uss import parse
from headset.data.row import BadRow, Dialogue, Turn

TWO = b"""
USER\tHello, a table for two?\tINFORM\t3,4,4
SYSTEM\tWhere?\tREQUEST\t
USER\tOVERALL\t\t4,5
USER\tPlay a song.\tINFORM\t2
"""


def read(content):
    return list(parse(BytesIO(content)))


def test_a_dialogue_keeps_turns_ratings_and_the_overall_rating():
    first, second = read(TWO.replace(b"USER\tPlay", b"\nUSER\tPlay"))
    assert first == Dialogue(
        number=2,
        turns=(Turn("customer", "Hello, a table for two?", ratings=(3, 4, 4)), Turn("bot", "Where?")),
        ratings=(4, 5),
        csat=4.5,
    )
    assert (second.number, second.csat, second.turns) == (6, None, (Turn("customer", "Play a song.", ratings=(2,)),))


def test_a_bad_line_is_reported_by_number_and_its_dialogue_left_out():
    lines = (
        b"USER\tHi\tX\t3\nSYSTEM\tHi\nROBOT\tHi\tX\t\n\nUSER\tGood\tX\t3,4\n\nUSER\tcaf\xe9\tX\t\n\nUSER\tHi\tX\t3,6\n"
    )
    found = read(lines)
    assert [(item.number, isinstance(item, Dialogue)) for item in found] == [
        (2, False), (3, False), (5, True), (7, False), (9, False)
    ]  # fmt: skip
    assert "the dialogue that begins at line 1 is left out" in found[0].problem


def test_a_file_without_blank_lines_stays_in_bounded_memory(monkeypatch):
    monkeypatch.setattr(uss, "LINE_LIMIT", 10)
    (bad,) = read(b"USER\tHi\tX\t3\n" * 50)
    assert (bad.number, "over 10 lines" in bad.problem) == (1, True)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail(content):
    assert all(isinstance(item, Dialogue | BadRow) for item in read(b"USER\tHi\tX\t" + content))
