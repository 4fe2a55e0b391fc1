"""Each name has so many places, waits for its own alone, and is forgotten when nobody uses it."""

import asyncio

from sonant.server.sharing.lines import Lines


def test_names_do_not_wait_for_each_other_and_are_forgotten() -> None:
    async def main() -> None:
        lines, running = Lines(2), dict.fromkeys("ab", 0)

        async def stay(name: str) -> None:
            async with lines.place(name):
                running[name] += 1
                await asyncio.sleep(60)

        tasks = [asyncio.create_task(stay(name)) for name in "aaaab"]
        await asyncio.sleep(0)
        assert running == {"a": 2, "b": 1}
        tasks[2].cancel()  # it waits
        tasks[0].cancel()  # it has a place, which the next in the line gets
        await asyncio.sleep(0.01)
        assert running == {"a": 3, "b": 1}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(lines) == 0

    asyncio.run(main())
