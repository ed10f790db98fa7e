from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.core.errors import StorageFull
from headset.jobs.output import Output, Progress, progress_line


@pytest.fixture
def output(tmp_path):
    return Output(tmp_path)


def whole(output, *, ended=True):
    text, offset = "", 0
    while True:
        more, reached = output.read("j", offset, ended=ended)
        if reached == offset:
            return text
        text, offset = text + more, reached


def test_attempts_are_one_stream_without_lines_of_progress(output):
    output.append("j", 1, b"one\n" + progress_line("fit", 0.5).encode() + b"\ntwo\n")
    output.append("j", 2, b"three\nfo")
    assert output.read("j", 0, ended=False)[0] == "one\ntwo\nthree\n"
    assert whole(output) == "one\ntwo\nthree\nfo"
    assert output.size("j", 2) == 8


def test_the_tenth_attempt_comes_after_the_ninth(output):
    for number in (10, 9, 2):
        output.append("j", number, f"{number}\n".encode())
    assert whole(output) == "2\n9\n10\n"


@given(st.lists(st.sampled_from(["a", "ü", "\n", progress_line("p", 0.5) + "\n", "long " * 50])))
def test_however_it_is_read_it_says_the_same(tmp_path_factory, words):
    output = Output(tmp_path_factory.mktemp("output"))
    seen, offset = "", 0
    for word in words:
        output.append("j", 1, word.encode())
        more, offset = output.read("j", offset, ended=False)
        seen += more
    more, _ = output.read("j", offset, ended=True)
    assert seen + more == whole(output)


def test_a_line_longer_than_a_read_comes_in_parts(output):
    output.append("j", 1, b"x" * 3_000_000 + b"\nend\n")
    assert whole(output, ended=False) == "x" * 3_000_000 + "\nend\n"


def test_progress_is_the_last_that_was_told(output):
    assert output.progress("j") is None
    output.append("j", 1, f"{progress_line('fit', 0.5)}\nwords\n{progress_line('fit', 0.75)}\nwords\n".encode())
    assert output.progress("j") == Progress("fit", 0.75)
    output.append("j", 1, b'{"progress": nonsense}\n{"progress":3}\n')
    assert output.progress("j") == Progress("fit", 0.75)


def test_a_full_disk_is_told_as_such(output, tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "j").mkdir()
    (tmp_path / "j" / "1.log").symlink_to("/dev/full")
    with pytest.raises(StorageFull, match="No space left"):
        output.append("j", 1, b"x")
