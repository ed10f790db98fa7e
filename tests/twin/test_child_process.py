"""A stream of messages from another process, and its end, however it comes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest

from headset.core.errors import InvalidInput, StorageFailed
from headset.twin.child_process import stream_from_child


@pytest.fixture(autouse=True)
def importable(monkeypatch, root):
    """The other process must find the functions below."""
    monkeypatch.syspath_prepend(root)


def count(last):
    yield from range(last)


def name(*texts):
    for text in texts:
        yield {"text": text, "pid": os.getpid()}


def fail(after):
    yield from range(after)
    raise StorageFailed("the truth cannot be written")


def refuse():
    yield 1
    raise InvalidInput("intent", "is unknown")


def break_down():
    yield 1
    raise ZeroDivisionError


def die(number):
    yield os.getpid()
    os.kill(os.getpid(), number)


def die_speaking():
    """Ends in the middle of a message."""
    yield 1
    for fd in range(3, 50):
        try:
            os.write(fd, (1_000).to_bytes(4, "big") + b"m")
        except OSError:
            continue
    os._exit(1)


def run_on():
    number = 0
    while True:
        yield os.getpid()
        number += 1


def dawdle():
    yield os.getpid()
    time.sleep(600)


def gone(pid):
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_messages_arrive_whole_and_in_order():
    with stream_from_child(count, (1_000,), int) as messages:
        assert list(messages) == list(range(1_000))


def test_messages_come_from_another_process():
    with stream_from_child(name, ("one", "two"), dict) as messages:
        told = list(messages)
    assert [each["text"] for each in told] == ["one", "two"]
    assert os.getpid() not in {each["pid"] for each in told}
    assert gone(told[0]["pid"])


@pytest.mark.parametrize(
    ("tell", "arguments", "problem"),
    [(fail, (3,), "the truth cannot be written"), (refuse, (), "intent: is unknown")],
)
def test_what_is_raised_there_is_told_here_after_all_messages_before(tell, arguments, problem):
    heard = []
    with stream_from_child(tell, arguments, int) as messages, pytest.raises(StorageFailed, match=problem):
        heard.extend(messages)
    assert heard in ([0, 1, 2], [1])


def test_an_unforeseen_error_there_ends_the_stream_here_with_its_traceback_above(capfd):
    with (
        stream_from_child(break_down, (), int) as messages,
        pytest.raises(StorageFailed, match="has died; its message is above"),
    ):
        list(messages)
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_a_death_in_the_middle_of_a_message_is_told_too():
    with stream_from_child(die_speaking, (), int) as messages, pytest.raises(StorageFailed, match="has died"):
        list(messages)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_killed_is_told_of(number):
    with stream_from_child(die, (number,), int) as messages:
        next(messages)
        with pytest.raises(StorageFailed, match="has died"):
            next(messages)


def test_an_interrupt_reaches_the_listener_alone():
    with stream_from_child(run_on, (), int) as messages:
        pid = next(messages)
        os.kill(pid, signal.SIGINT)
        for _ in range(1_000):
            assert next(messages) == pid
    assert gone(pid)


@pytest.mark.parametrize("tell", [run_on, dawdle])
def test_leaving_the_block_ends_the_other_process(tell):
    with stream_from_child(tell, (), int) as messages:
        pid = next(messages)
    assert gone(pid)
    assert multiprocessing.active_children() == []


def test_an_error_in_the_block_ends_it_too():
    def listen():
        with stream_from_child(run_on, (), int) as messages:
            pids.append(next(messages))
            raise KeyError

    pids = []
    with pytest.raises(KeyError):
        listen()
    assert gone(pids[0])
