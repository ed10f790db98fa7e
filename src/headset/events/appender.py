"""Appending from an event loop: the calls of one turn of the loop travel to the log together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.core.errors import Overloaded, StorageFailed

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from asyncio import Future as AsyncFuture
    from collections.abc import Sequence
    from concurrent.futures import Future

    from headset.events.log import Log
    from headset.events.schema import Event

    Call = tuple[tuple[Event, ...], AsyncFuture[list[int]]]


class AsyncAppender:
    """Makes any log awaitable, at one wake-up of the loop per group instead of one per call.

    Args:
        log: Where the events go.
        loop: The loop that calls :meth:`append` and awaits its results.

    >>> import asyncio
    >>> from headset.core.clock import ManualClock
    >>> from headset.events.memory import MemoryLog
    >>> async def main():
    ...     return await AsyncAppender(MemoryLog(ManualClock()), asyncio.get_running_loop()).append([])
    >>> asyncio.run(main())
    []
    """

    def __init__(self, log: Log, loop: AbstractEventLoop) -> None:
        self._log = log
        self._loop = loop
        self._gathered: list[Call] = []

    def append(self, events: Sequence[Event]) -> AsyncFuture[list[int]]:
        """Keep ``events`` as :meth:`Log.append` does; await the result, in the loop's own thread.

        Errors come with the result. Cancelling the wait does not take the events back.
        """
        future: AsyncFuture[list[int]] = self._loop.create_future()
        self._gathered.append((tuple(events), future))
        if len(self._gathered) == 1:
            self._loop.call_soon(self._send_gathered)
        return future

    def _send_gathered(self) -> None:
        calls, self._gathered = self._gathered, []
        self._send(calls)

    def _send(self, calls: list[Call]) -> None:
        try:
            durable = self._log.append_soon([event for events, _ in calls for event in events])
        except Exception as error:  # noqa: BLE001 - belongs to those who wait
            self._fail(calls, error)
            return
        durable.add_done_callback(lambda done: self._wake(calls, done))

    def _wake(self, calls: list[Call], done: Future[list[int]]) -> None:
        """Runs in the log's thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle, calls, done)

    def _settle(self, calls: list[Call], done: Future[list[int]]) -> None:
        error = done.exception()
        if error is not None:
            self._fail(calls, error)
            return
        offsets, start = done.result(), 0
        for events, future in calls:
            end = start + len(events)
            if not future.done():  # cancelled
                future.set_result(offsets[start:end])
            start = end

    def _fail(self, calls: list[Call], error: BaseException) -> None:
        if len(calls) > 1 and not isinstance(error, StorageFailed | Overloaded):
            for call in calls:  # one of them brought an event that cannot be kept; only that one fails
                self._send([call])
            return
        for _, future in calls:
            if not future.done():
                future.set_exception(error)
