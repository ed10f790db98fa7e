"""Micro-batching: no wait when idle, shared calls when busy, and a stuck model harms nobody else."""

from __future__ import annotations

import asyncio
import threading

import pytest

from headset.core.errors import ModelFailed
from headset.serving.batcher import Batcher


def batcher(answer, stall_s=5.0, batch_limit=32):
    return Batcher(answer, asyncio.get_running_loop(), stall_s=stall_s, batch_limit=batch_limit)


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
        asked = batcher(answer, batch_limit=8)
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
        asked = batcher(answer, stall_s=0.05)
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
