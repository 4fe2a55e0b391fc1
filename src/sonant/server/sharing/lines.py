"""Places by name, of which each has the same number."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class _Line:
    """The places of one name, and the number of tasks that have one or wait."""

    def __init__(self, places: int) -> None:
        self.users, self.places = 0, asyncio.Semaphore(places)


class Lines:
    """A semaphore for each name, which exists as long as it is used: who waits for one name keeps no other waiting.

    Args:
        places: of each name.
    """

    def __init__(self, places: int) -> None:
        self._num_places = places
        self._lines: dict[str, _Line] = {}

    def __len__(self) -> int:
        """Return the number of names in use."""
        return len(self._lines)

    @asynccontextmanager
    async def place(self, name: str) -> AsyncIterator[None]:
        """Wait for a place, which is held as long as the block runs."""
        line = self._lines.setdefault(name, _Line(self._num_places))
        line.users += 1
        try:
            async with line.places:
                yield
        finally:
            line.users -= 1
            if not line.users:
                del self._lines[name]
