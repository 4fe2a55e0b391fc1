"""Turns go round by share, last as long as their block, and are lost to nobody who leaves."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from sonant.server.sharing.turns import FairTurns


async def enter(*work: Coroutine[Any, Any, None]) -> list["asyncio.Task[None]"]:
    tasks = [asyncio.create_task(each) for each in work]
    await asyncio.sleep(0)
    return tasks


@pytest.mark.parametrize("places", [1, 2])
def test_a_single_waiter_is_next_however_many_another_share_has(places: int) -> None:
    order, running, most = [], 0, 0

    async def one(share: str) -> None:
        nonlocal running, most
        async with turns.turn(share):
            running += 1
            most = max(most, running)
            order.append(share)
            await asyncio.sleep(0)
            running -= 1

    async def work() -> None:
        tasks = await enter(*(one("many") for _ in range(100)))
        await asyncio.sleep(0)
        await asyncio.gather(*tasks, *await enter(one("few"), one("few")))

    turns = FairTurns(places)
    asyncio.run(work())
    assert most == places
    assert len(order) == 102
    first = order.index("few")
    assert first <= 3 * places
    assert order.index("few", first + 1) <= first + 2


def test_who_leaves_the_line_or_a_turn_takes_none_from_others() -> None:
    async def work() -> None:
        turns, may_end, done = FairTurns(1), asyncio.Event(), []

        async def one(name: str) -> None:
            async with turns.turn("a"):
                await may_end.wait()
                done.append(name)

        running, waiting, granted, last = await enter(*map(one, ("running", "waiting", "granted", "last")))
        waiting.cancel()
        await asyncio.wait([waiting])
        assert len(turns) == 2
        running.cancel()
        await asyncio.sleep(0)  # its turn goes to the next one, who has not noticed yet
        granted.cancel()
        may_end.set()
        await asyncio.wait([running, granted, last])
        assert granted.cancelled()
        assert done == ["last"]
        async with asyncio.timeout(1), turns.turn("b"):
            assert len(turns) == 0

    asyncio.run(work())


def test_an_error_ends_a_turn() -> None:
    async def work() -> None:
        turns = FairTurns(1)
        for _ in range(3):
            with pytest.raises(ValueError, match="inside"):
                async with asyncio.timeout(1), turns.turn("a"):
                    raise ValueError("inside")

    asyncio.run(work())


def test_a_place_rests_after_a_turn_in_proportion_to_it() -> None:
    async def work(seconds: float) -> float:
        turns, loop = FairTurns(1, rest=2.0), asyncio.get_running_loop()
        async with turns.turn("a"):
            await asyncio.sleep(seconds)
        ended = loop.time()
        async with turns.turn("a"):
            return loop.time() - ended

    assert asyncio.run(work(0.01)) >= 0.018
    assert 0.048 <= asyncio.run(work(0.1)) < 0.15
