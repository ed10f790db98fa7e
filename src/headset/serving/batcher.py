"""Micro-batching: turns that arrive while the model works share its next call.

An idle model starts at once with a single item, so batching adds no wait; a busy one finds all that came
meanwhile. A call that outlives its deadline is abandoned together with its thread, and a fresh thread
goes on.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import traceback
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from headset.core.errors import ModelFailed, Overloaded

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

Question = TypeVar("Question")
Answer = TypeVar("Answer")

_ABANDONED_LIMIT = 8
_logger = logging.getLogger("headset.serving")


class Limits(NamedTuple):
    """How much a batcher takes on.

    Attributes:
        stall_s: Seconds after which a call counts as stuck, and a question as unanswered.
        batch: Questions in one call, at most.
        batch_size: Their sizes together, at most, if there is more than one.
        waiting: Questions waiting for a call, at most.
    """

    stall_s: float
    batch: int
    batch_size: int
    waiting: int


class _Asked(NamedTuple, Generic[Question, Answer]):
    question: Question
    answer: asyncio.Future[Answer]


class Batcher(Generic[Question, Answer]):
    """Runs ``answer`` on batches of questions in a thread of its own, for callers on one event loop.

    Args:
        answer: Maps a batch to equally many answers; may raise, may stall.
        loop: The event loop all callers run on.
        limits: See :class:`Limits`.
        size: Size of a question, as ``limits.batch_size`` counts it.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Question]], Sequence[Answer]],
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        size: Callable[[Question], int] = lambda _: 1,
    ) -> None:
        self._answer = answer
        self._loop = loop
        self._limits = limits
        self._size = size
        self._waiting: list[_Asked[Question, Answer]] = []
        self._running_since: float | None = None
        self._generation = 0
        self._abandoned = 0
        self._closed = False
        self._ready = threading.Condition(threading.Lock())
        self._start_thread()

    @property
    def stuck(self) -> bool:
        """Whether so many calls are stuck that no more are started."""
        return self._abandoned >= _ABANDONED_LIMIT

    async def submit(self, question: Question) -> Answer:
        """The answer to ``question``.

        Raises:
            ModelFailed: the model raised on it, or did not answer in time.
            Overloaded: too many questions wait already.
        """
        if self.stuck:
            raise ModelFailed(f"{self._abandoned} model calls are stuck, no more are started")
        if len(self._waiting) >= self._limits.waiting:
            raise Overloaded(f"{len(self._waiting)} texts wait for the model, the limit is {self._limits.waiting}")
        asked = _Asked(question, self._loop.create_future())
        deadline = self._loop.call_later(self._limits.stall_s, self._expire, asked)
        with self._ready:
            self._waiting.append(asked)
            if self._running_since is None:
                self._ready.notify()
        answer: Answer = await asked.answer
        deadline.cancel()
        return answer

    def close(self) -> None:
        """Stop the thread once it is idle; a stuck one is left behind (it is a daemon)."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def _start_thread(self) -> None:
        threading.Thread(target=self._run, args=(self._generation,), name="headset-model", daemon=True).start()

    def _expire(self, asked: _Asked[Question, Answer]) -> None:
        """A question is older than the deadline: give it up, and the call in progress if that is as old."""
        if not asked.answer.done():
            asked.answer.set_exception(ModelFailed(f"no answer within {self._limits.stall_s * 1000:.0f} ms"))
        with self._ready:
            if asked in self._waiting:
                self._waiting.remove(asked)
            since = self._running_since
            if since is not None and self._loop.time() - since >= self._limits.stall_s:
                self._generation += 1
                self._abandoned += 1
                self._running_since = None
                self._start_thread()

    def _run(self, generation: int) -> None:
        while (batch := self._next_batch(generation)) is not None:
            outcomes = self._outcomes([asked.question for asked in batch])
            with contextlib.suppress(RuntimeError):  # the loop was closed while the model was at work
                self._loop.call_soon_threadsafe(_resolve, batch, outcomes)

    def _next_batch(self, generation: int) -> list[_Asked[Question, Answer]] | None:
        """Wait for questions; None when this thread was abandoned, or all is done."""
        with self._ready:
            if generation == self._generation:
                self._running_since = None
            while not self._waiting and generation == self._generation and not self._closed:
                self._ready.wait()
            if generation != self._generation:
                self._abandoned -= 1
                return None
            if not self._waiting:
                return None
            length, size = 0, 0
            for asked in self._waiting[: self._limits.batch]:
                size += self._size(asked.question)
                if length and size > self._limits.batch_size:
                    break
                length += 1
            batch, self._waiting = self._waiting[:length], self._waiting[length:]
            self._running_since = self._loop.time()
            return batch

    def _outcomes(self, questions: Sequence[Question]) -> list[Answer | ModelFailed]:
        """One outcome per question; when a batch fails, each is tried alone so that one cannot spoil the rest."""
        try:
            answers = list(self._answer(questions))
        except Exception as error:  # noqa: BLE001 - a model may raise anything
            if len(questions) > 1:
                return [outcome for question in questions for outcome in self._outcomes([question])]
            frames = "".join(traceback.format_tb(error.__traceback__))
            _logger.warning("the model raised %s:\n%s", type(error).__name__, frames)  # its message may hold the text
            return [ModelFailed(f"the model raised {type(error).__name__}")]
        if len(answers) != len(questions):
            return [ModelFailed(f"the model gave {len(answers)} answers to {len(questions)} turns")] * len(questions)
        return [*answers]


def _resolve(batch: Sequence[_Asked[Question, Answer]], outcomes: Sequence[Answer | ModelFailed]) -> None:
    for asked, outcome in zip(batch, outcomes, strict=True):
        if asked.answer.done():
            continue
        if isinstance(outcome, ModelFailed):
            asked.answer.set_exception(outcome)
        else:
            asked.answer.set_result(outcome)
