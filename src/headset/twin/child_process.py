"""A stream of messages made in a process of its own, so that two cores share the work."""

from __future__ import annotations

import gc
import multiprocessing
import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from headset.core.errors import HeadsetError, StorageFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from types import UnionType

Message = TypeVar("Message")

_MESSAGE, _ERROR, _END = b"m", b"e", b"."
_PATIENCE_S = 10.0
_COLLECT_EVERY = 50_000


@contextmanager
def stream_from_child(
    tell: Callable[..., Iterator[Message]], arguments: tuple[Any, ...], kind: type[Message] | UnionType
) -> Iterator[Iterator[Message]]:
    """The messages of ``tell(*arguments)``, made by another process while this one works on the last.

    That process ends with the block, or when this one ends, however that happens.

    Args:
        tell: A function of a module; it and its arguments must be picklable.
        arguments: Its arguments.
        kind: The messages' type, for msgspec.

    Raises:
        StorageFailed: from the iterator: ``tell`` raised an error of Headset, whose text it has, or the other process
            died.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(tell, arguments, there), daemon=True)
    with _deaf_to_interrupts():
        process.start()
    there.close()
    try:
        yield _heard(here, msgspec.msgpack.Decoder(kind))
    finally:
        here.close()
        process.terminate()
        process.join(_PATIENCE_S)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """A process begun here does not hear Ctrl-C, from its first line on: who listens decides when it is over."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _heard(connection: Connection, decoder: msgspec.msgpack.Decoder[Message]) -> Iterator[Message]:
    while True:
        try:
            sent = memoryview(connection.recv_bytes())
        except (EOFError, OSError):  # between two messages, or in the middle of one
            raise StorageFailed("the process that simulates has died; its message is above") from None
        kind = bytes(sent[:1])
        if kind == _ERROR:
            raise StorageFailed(bytes(sent[1:]).decode())
        if kind == _END:
            return
        yield decoder.decode(sent[1:])


def _tell(tell: Callable[..., Iterator[Any]], arguments: tuple[Any, ...], connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()  # what is loaded stays; looking through it again and again would cost a sixth of the time
    gc.set_threshold(_COLLECT_EVERY)
    encode = msgspec.msgpack.Encoder().encode
    with suppress(BrokenPipeError):
        try:
            for message in tell(*arguments):
                connection.send_bytes(_MESSAGE + encode(message))
            connection.send_bytes(_END)
        except HeadsetError as error:
            connection.send_bytes(_ERROR + str(error).encode())
