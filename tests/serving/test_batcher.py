"""Micro-batching: no wait when idle, shared calls when busy, and a stuck model harms nobody else."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from headset.core.errors import ModelFailed, Overloaded
from headset.serving.batcher import Batcher, Limits


def batcher(answer, *, stall_s=5.0, batch=32, batch_size=1_000, waiting=1_000, size=lambda _: 1):
    return Batcher(answer, asyncio.get_running_loop(), Limits(stall_s, batch, batch_size, waiting), size)


def test_an_idle_model_answers_a_single_question_at_once():
    sizes = []

    async def main():
        asked = batcher(lambda batch: sizes.append(len(batch)) or [x * 2 for x in batch])
        return [await asked.submit(number) for number in range(3)]

    assert asyncio.run(main()) == [0, 2, 4]
    assert sizes == [1, 1, 1]


def test_questions_that_come_while_the_model_works_share_its_next_call_in_order():
    sizes, release = [], threading.Event()

    def answer(batch):
        sizes.append(len(batch))
        if len(sizes) == 1:
            release.wait(5)
        return [x + 100 for x in batch]

    async def main():
        asked = batcher(answer, batch=8)
        first = asyncio.ensure_future(asked.submit(0))
        while not sizes:  # noqa: ASYNC110 - the model runs in a thread, which sets no event of this loop
            await asyncio.sleep(0.001)
        rest = [asyncio.ensure_future(asked.submit(number)) for number in range(1, 12)]
        await asyncio.sleep(0)
        release.set()
        return await asyncio.gather(first, *rest)

    assert asyncio.run(main()) == [number + 100 for number in range(12)]
    assert sizes == [1, 8, 3]


def test_a_question_that_breaks_the_model_fails_alone():
    def answer(batch):
        return [1 / x for x in batch]

    async def main():
        asked = batcher(answer)
        return await asyncio.gather(*(asked.submit(x) for x in (1, 0, 2)), return_exceptions=True)

    first, broken, last = asyncio.run(main())
    assert (first, last) == (1.0, 0.5)
    assert isinstance(broken, ModelFailed)


def test_a_wrong_number_of_answers_is_a_failure():
    async def main():
        return await batcher(lambda batch: []).submit(1)

    with pytest.raises(ModelFailed, match="0 answers to 1"):
        asyncio.run(main())


def test_a_stuck_call_is_abandoned_and_the_next_question_is_answered():
    stuck, release = [], threading.Event()

    def answer(batch):
        if batch == [0]:
            stuck.append(1)
            release.wait(10)
        return list(batch)

    async def main():
        asked = batcher(answer, stall_s=0.3)
        outcomes = await asyncio.gather(asked.submit(0), return_exceptions=True)
        outcomes.append(await asked.submit(1))
        release.set()
        return outcomes

    failed, answered = asyncio.run(main())
    assert isinstance(failed, ModelFailed)
    assert answered == 1


def test_calls_that_stay_stuck_stop_the_model_instead_of_piling_up_threads():
    release = threading.Event()

    async def main():
        asked = batcher(lambda batch: release.wait(10) and list(batch), stall_s=0.02)
        before = threading.active_count()
        for _ in range(20):
            with pytest.raises(ModelFailed):
                await asked.submit(1)
        assert asked.stuck
        grown = threading.active_count() - before
        release.set()
        return grown

    assert asyncio.run(main()) <= 9


def test_a_long_queue_does_not_condemn_a_healthy_call():
    """Questions may grow too old waiting; the calls that answer the others in time are no stuck ones."""

    def answer(batch):
        time.sleep(0.02)
        return list(batch)

    async def main():
        asked = batcher(answer, stall_s=0.5, batch=4)
        outcomes = await asyncio.gather(*(asked.submit(number) for number in range(200)), return_exceptions=True)
        return outcomes, await asked.submit(7), asked.stuck, asked._generation

    outcomes, after, stuck, abandoned = asyncio.run(main())
    assert sum(isinstance(outcome, ModelFailed) for outcome in outcomes) > 20
    assert (after, stuck, abandoned) == (7, False, 0)


def test_a_stuck_call_is_abandoned_even_if_its_caller_went_away():
    release = threading.Event()

    def answer(batch):
        if 0 in batch:
            release.wait(10)
        return list(batch)

    async def main():
        asked = batcher(answer, stall_s=0.3)
        gone = asyncio.ensure_future(asked.submit(0))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.sleep(0.4)
        answered = await asked.submit(1)
        release.set()
        return answered

    assert asyncio.run(main()) == 1


def test_too_many_waiting_questions_are_refused():
    release = threading.Event()

    async def main():
        asked = batcher(lambda batch: release.wait(10) and list(batch), waiting=3)
        outcomes = [asyncio.ensure_future(asked.submit(0))]
        await asyncio.sleep(0.02)
        outcomes += [asyncio.ensure_future(asked.submit(number)) for number in range(1, 6)]
        await asyncio.sleep(0.01)
        release.set()
        return await asyncio.gather(*outcomes, return_exceptions=True)

    outcomes = asyncio.run(main())
    assert [isinstance(outcome, Overloaded) for outcome in outcomes] == [False] * 4 + [True] * 2


def test_large_questions_get_calls_of_their_own():
    sizes, release = [], threading.Event()

    def answer(batch):
        sizes.append(len(batch))
        if len(sizes) == 1:
            release.wait(5)
        return list(batch)

    async def main():
        asked = batcher(answer, batch_size=100, size=len)
        first = asyncio.ensure_future(asked.submit("x"))
        while not sizes:  # noqa: ASYNC110 - the model runs in a thread, which sets no event of this loop
            await asyncio.sleep(0.001)
        rest = [asyncio.ensure_future(asked.submit("x" * size)) for size in (40, 60, 1, 500, 10)]
        await asyncio.sleep(0)
        release.set()
        return await asyncio.gather(first, *rest)

    asyncio.run(main())
    assert sizes == [1, 2, 1, 1, 1]


def test_a_model_that_answers_nothing_fails_and_the_next_question_is_served():
    answers = iter([None, [5]])

    async def main():
        asked = batcher(lambda _: next(answers))
        with pytest.raises(ModelFailed, match="TypeError"):
            await asked.submit(1)
        return await asked.submit(1)

    assert asyncio.run(main()) == 5
