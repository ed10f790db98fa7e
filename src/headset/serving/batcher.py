"""Micro-batching: turns that arrive while the model works share its next call.

An idle model starts at once with a single item, so batching adds no wait; a busy one finds all that came
meanwhile. A call that outlives its deadline is abandoned together with its thread, and a fresh thread
goes on.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from headset.core.errors import ModelFailed

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

Question = TypeVar("Question")
Answer = TypeVar("Answer")

_ABANDONED_LIMIT = 8


class Batcher(Generic[Question, Answer]):
    """Runs ``answer`` on batches of questions in a thread of its own, for callers on one event loop.

    Args:
        answer: Maps a batch to equally many answers; may raise, may stall.
        loop: The event loop all callers run on.
        stall_s: Seconds after which a question's caller gets :class:`ModelFailed`.
        batch_limit: Questions in one call, at most.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Question]], Sequence[Answer]],
        loop: asyncio.AbstractEventLoop,
        *,
        stall_s: float,
        batch_limit: int,
    ) -> None:
        self._answer = answer
        self._loop = loop
        self._stall_s = stall_s
        self._batch_limit = batch_limit
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._ready = threading.Condition(threading.Lock())
        self._generation = 0
        self._running: list[asyncio.Future[Answer]] = []
        self._abandoned = 0
        self._closed = False
        self._start_thread()

    @property
    def stuck(self) -> bool:
        """Whether so many calls are stuck that no more are started."""
        return self._abandoned >= _ABANDONED_LIMIT

    async def submit(self, question: Question) -> Answer:
        """The answer to ``question``.

        Raises:
            ModelFailed: the model raised on it, or did not answer in time.
        """
        if self.stuck:
            raise ModelFailed(f"{self._abandoned} model calls are stuck, no more are started")
        future: asyncio.Future[Answer] = self._loop.create_future()
        deadline = self._loop.call_later(self._stall_s, self._expire, future)
        with self._ready:
            self._waiting.append((question, future))
            if not self._running:
                self._ready.notify()
        try:
            return await future
        finally:
            deadline.cancel()

    def close(self) -> None:
        """Stop the thread once it is idle; a stuck one is left behind (it is a daemon)."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def _start_thread(self) -> None:
        threading.Thread(target=self._run, args=(self._generation,), name="headset-model", daemon=True).start()

    def _expire(self, future: asyncio.Future[Answer]) -> None:
        if future.done():
            return
        future.set_exception(ModelFailed(f"no answer within {self._stall_s * 1000:.0f} ms"))
        with self._ready:
            self._waiting = [pair for pair in self._waiting if pair[1] is not future]
            if future in self._running:
                self._generation += 1
                self._abandoned += 1
                self._running = []
                self._start_thread()

    def _run(self, generation: int) -> None:
        while True:
            with self._ready:
                if generation == self._generation:
                    self._running = []
                while not self._waiting and generation == self._generation and not self._closed:
                    self._ready.wait()
                if generation != self._generation:
                    self._abandoned -= 1
                    return
                if self._closed and not self._waiting:
                    return
                batch, self._waiting = self._waiting[: self._batch_limit], self._waiting[self._batch_limit :]
                self._running = futures = [future for _, future in batch]
            outcomes = self._outcomes([question for question, _ in batch])
            with contextlib.suppress(RuntimeError):  # the loop was closed while the model was at work
                self._loop.call_soon_threadsafe(_resolve, futures, outcomes)

    def _outcomes(self, questions: Sequence[Question]) -> list[Answer | ModelFailed]:
        """One outcome per question; when a batch fails, each is tried alone so that one cannot spoil the rest."""
        try:
            answers = self._answer(questions)
        except Exception as error:  # noqa: BLE001 - a model may raise anything
            if len(questions) == 1:
                return [ModelFailed(f"the model raised {type(error).__name__}")]
            return [outcome for question in questions for outcome in self._outcomes([question])]
        if len(answers) != len(questions):
            return [ModelFailed(f"the model gave {len(answers)} answers to {len(questions)} turns")] * len(questions)
        return list(answers)


def _resolve(futures: Sequence[asyncio.Future[Answer]], outcomes: Sequence[Answer | ModelFailed]) -> None:
    for future, outcome in zip(futures, outcomes, strict=True):
        if future.done():
            continue
        if isinstance(outcome, ModelFailed):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
