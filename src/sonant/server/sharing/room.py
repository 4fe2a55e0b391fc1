"""Room that shares fill, such as that for samples in a queue or for bytes in memory.

A share may hold `TIMES_FREE` times what is left free (dynamic thresholds: Choudhury and Hahne 1998). A lone share can
fill three quarters of the room; of n busy ones each gets 3 / (3 n + 1) of it, and 1 / (3 n + 1) stays free for others.
"""

TIMES_FREE = 3
LONE_PART = TIMES_FREE / (TIMES_FREE + 1)  # of the room, for a share that is alone


class SharedRoom:
    """The amount that each share holds of a room, whose capacity may change."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        self.total = 0

    def excess(self, amount: int, capacity: float, share: str | None = None) -> float:
        """Return how much must be given back before a share may take `amount`, at most; 0 if it may now.

        A share that holds nothing may take all that is free. An amount larger than `LONE_PART` of the capacity counts
        as that part, so that it is admitted to a room that is nearly empty.

        Args:
            share: None: one that holds nothing.
        """
        own = 0 if share is None else self._held.get(share, 0)
        largest = LONE_PART * capacity
        left = capacity - sum(min(held, largest) for name, held in self._held.items() if name != share)
        return max(0.0, own + amount - LONE_PART * left if own else min(amount, largest) - left)

    def add(self, share: str, amount: int) -> None:
        self._held[share] = self._held.get(share, 0) + amount
        self.total += amount

    def remove(self, share: str, amount: int) -> None:
        """Give back what a share holds, or a part of it."""
        held = self._held.get(share, 0)
        amount = min(amount, held)
        self.total -= amount
        if amount < held:
            self._held[share] = held - amount
        else:
            self._held.pop(share, None)
