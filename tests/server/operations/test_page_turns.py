"""Pages are made a few at a time, and who asks for many does not delay who asks for one."""

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from sonant.server.operations.page_turns import PLACES, PageTurns
from sonant.server.sharing.turns import FairTurns


def served_before(path: str) -> tuple[int, int]:
    """The number of another visitor's pages made before a single one, and the most made at a time."""
    made: list[str] = []
    at_a_time: list[int] = []
    running = 0

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal running
        running += 1
        at_a_time.append(running)
        await asyncio.sleep(0.001)
        made.append(scope["client"][0])
        running -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def unread(_: Any) -> None:
        await asyncio.sleep(0.01)  # of a slow client, who needs no turn for that

    async def main() -> int:
        page = PageTurns(app, turns=FairTurns(PLACES))
        many = [page({"type": "http", "path": path, "client": ("192.0.2.1", 1)}, None, unread) for _ in range(100)]
        tasks = [asyncio.create_task(work) for work in many]
        await asyncio.sleep(0)
        await page({"type": "http", "path": path, "client": ("198.51.100.1", 1)}, None, unread)
        before = made.index("198.51.100.1")
        await asyncio.gather(*tasks)
        return before

    return asyncio.run(main()), max(at_a_time)


def test_turns_go_round_by_network() -> None:
    before, at_a_time = served_before("/reference")
    assert (at_a_time, before < 3 * PLACES) == (PLACES, True)


@pytest.mark.parametrize("path", ["/health", "/v1/models"])
def test_the_api_and_monitors_do_not_wait(path: str) -> None:
    assert served_before(path)[1] == 101
