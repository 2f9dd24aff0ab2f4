import asyncio
import random
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from watchkeeper.errors import UnavailableError
from watchkeeper.serving.batching import Batcher


def batcher(compute: Any, *, timeout: float = 10.0, max_rows: int = 64) -> Batcher[Any, Any, Any]:
    return Batcher(
        "test",
        compute=compute,
        finish=lambda items, results: list(zip(items, results, strict=True)),
        timed_out=lambda items: [(item, "late") for item in items],
        size=lambda _: 1,
        max_rows=max_rows,
        timeout=timeout,
    )


def test_given_many_at_once_when_computed_then_together_in_order_and_to_each_its_own() -> None:
    sizes: list[int] = []

    def compute(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        return [item * 2 for item in items]

    async def run() -> list[Any]:
        own = batcher(compute, max_rows=10)
        answers = await asyncio.gather(*(own.submit(number) for number in range(100)))
        own.close()
        return list(answers)

    assert asyncio.run(run()) == [(number, number * 2) for number in range(100)]
    assert max(sizes) <= 10
    assert len(sizes) < 100


def test_given_a_batch_runs_when_more_arrive_then_they_gather_for_the_next() -> None:
    began, go_on = threading.Event(), threading.Event()
    batches: list[list[int]] = []

    def compute(items: Sequence[int]) -> Sequence[int]:
        batches.append(list(items))
        began.set()
        go_on.wait(10)
        return items

    async def run() -> None:
        own = batcher(compute)
        first = own.submit(0)
        await asyncio.to_thread(began.wait, 10)
        others = [own.submit(number) for number in range(1, 6)]
        go_on.set()
        await asyncio.gather(first, *others)
        own.close()

    asyncio.run(run())
    assert batches == [[0], [1, 2, 3, 4, 5]]


def test_given_random_arrivals_when_computed_then_nobody_gets_anothers_answer() -> None:
    chance = random.Random(3)

    async def caller(own: Batcher[Any, Any, Any], number: int) -> None:
        for step in range(20):
            if chance.random() < 0.3:
                await asyncio.sleep(0)
            item = (number, step)
            assert await own.submit(item) == (item, str(item))

    async def run() -> None:
        own = batcher(lambda items: [str(item) for item in items], max_rows=7)
        await asyncio.gather(*(caller(own, number) for number in range(30)))
        own.close()

    asyncio.run(run())


def test_given_a_caller_that_left_when_computed_then_the_others_are_answered() -> None:
    async def run() -> Any:
        own = batcher(lambda items: items)
        gone, stays = own.submit(1), own.submit(2)
        gone.cancel()
        answer = await stays
        own.close()
        return answer

    assert asyncio.run(run()) == (2, 2)


def test_given_a_fault_of_the_batcher_when_computed_then_callers_hear_of_it_and_it_goes_on() -> (
    None
):
    def compute(items: Sequence[str]) -> Sequence[str]:
        if "break" in items:
            raise RuntimeError("a bug")
        return items

    async def run() -> Any:
        own = batcher(compute)
        with pytest.raises(RuntimeError, match="a bug"):
            await own.submit("break")
        answer = await own.submit("fine")
        own.close()
        return answer

    assert asyncio.run(run()) == ("fine", "fine")


def test_given_computations_that_hang_when_checked_then_cut_off_and_stuck_until_one_returns() -> (
    None
):
    release = threading.Event()

    def compute(items: Sequence[str]) -> Sequence[str]:
        if "hang" in items:
            release.wait(30)
        return items

    async def run() -> None:
        own = batcher(compute, timeout=0.02)
        while not own.stuck:  # one that waited too long for its turn does not hang
            hanging = own.submit("hang")
            async with asyncio.timeout(60):
                while not hanging.done():
                    await asyncio.sleep(0)
                    own.check()
            assert await hanging == ("hang", "late")
        with pytest.raises(UnavailableError, match="never returned"):
            own.submit("more")
        release.set()
        async with asyncio.timeout(60):
            while own.stuck:  # noqa: ASYNC110 - only the loop can tell
                await asyncio.sleep(0)
        assert await own.submit("again") == ("again", "again")
        own.close()

    asyncio.run(run())
