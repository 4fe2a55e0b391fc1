"""Rate limits: how often, and how much, within the last minute or any other span.

Kept in memory, for this process alone: behind a balancer with n servers a key has n times its rates. (Of the package
`limits` the store in memory starts a thread a call and keeps an object a unit: 0.8 ms a call where audio is counted in
seconds, and it does not tell when a larger amount would fit.)
"""

import time
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple


class Rate(NamedTuple):
    """A limit: at most `amount` in any `seconds` seconds."""

    amount: float
    seconds: float = 60.0


@dataclass
class SlidingWindow:
    """The amounts that were taken within the last `seconds`, the oldest first."""

    seconds: float
    taken: deque[tuple[float, float]] = field(default_factory=deque)  # (when, how much)
    total: float = 0.0

    def forget(self, now: float) -> None:
        """Drop the amounts that were taken too long ago."""
        while self.taken and self.taken[0][0] <= now - self.seconds:
            self.total -= self.taken.popleft()[1]
        if not self.taken:
            self.total = 0.0  # no rounding adds up


class RateLimits:
    """A window for each name."""

    def __init__(self) -> None:
        self._windows: dict[str, SlidingWindow] = {}

    def wait(self, name: str, rate: Rate, amount: float = 1.0) -> float | None:
        """Take an amount and return None; or take nothing, and return the seconds until it would fit.

        An amount that is larger than the rate would never fit: infinity.
        """
        if amount > rate.amount:
            return float("inf")
        now = time.monotonic()
        window = self._windows.setdefault(name, SlidingWindow(rate.seconds))
        window.forget(now)
        left_over = window.total + amount - rate.amount
        if left_over <= 0:
            window.taken.append((now, amount))
            window.total += amount
            return None
        fits = now
        for when, much in window.taken:
            fits = when + window.seconds
            left_over -= much
            if left_over <= 0:
                break
        return fits - now

    def give_back(self, name: str) -> None:
        """Undo the last amount that was taken under a name."""
        window = self._windows.get(name)
        if window is not None and window.taken:
            window.total -= window.taken.pop()[1]

    def forget(self) -> None:
        """Drop the windows of those who have not been seen for long."""
        now = time.monotonic()
        for name, window in list(self._windows.items()):
            window.forget(now)
            if not window.taken:
                del self._windows[name]
