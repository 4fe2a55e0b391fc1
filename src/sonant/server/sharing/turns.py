"""Turns of several shares at a number of places."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sonant.server.sharing.fair_queue import FairQueue

MOST_REST = 0.05  # seconds


@dataclass(frozen=True, eq=False)
class _Waiter:
    """A task that waits for a turn."""

    granted: "asyncio.Future[None]"
    size: int = 1  # all turns count alike


class FairTurns:
    """A semaphore whose places go round by share: a share with many waiters gets no more turns than one with a single.

    Args:
        places: number of turns at a time.
        rest: a place is free again so many times later as its turn took, at most `MOST_REST` seconds.
    """

    def __init__(self, places: int, *, rest: float = 0.0) -> None:
        self._free, self._rest = places, rest
        self._queue: FairQueue[_Waiter] = FairQueue(1)

    def __len__(self) -> int:
        """Return the number of waiters."""
        return len(self._queue)

    @asynccontextmanager
    async def turn(self, share: str) -> AsyncIterator[None]:
        """Wait for a turn, which lasts as long as the block."""
        waiter = _Waiter(asyncio.get_running_loop().create_future())
        self._queue.put(share, waiter)
        self._grant()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            if waiter.granted.cancelled():
                self._queue.drop(share, lambda one: one is waiter)
            else:
                self._end()
            raise
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            yield
        finally:
            if self._rest:
                loop.call_later(min(MOST_REST, self._rest * (loop.time() - start)), self._end)
            else:
                self._end()

    def _end(self) -> None:
        self._free += 1
        self._grant()

    def _grant(self) -> None:
        while self._free and (taken := self._queue.take(1)):
            (waiter,) = taken
            if not waiter.granted.cancelled():
                waiter.granted.set_result(None)
                self._free -= 1
