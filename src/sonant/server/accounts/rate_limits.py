"""Rate limits over sliding windows.

Kept in memory of this process: behind a load balancer with n servers, a key has n times its rates. (The in-memory store
of the package `limits` starts a thread for each call and keeps an object for each unit, 0.8 ms a call where audio is
counted in seconds, and cannot tell when a larger amount would fit.)
"""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sonant.server.errors import ApiError

DAY = 86_400.0  # seconds


class Rate(NamedTuple):
    """A limit: at most `amount` in any `seconds` seconds."""

    amount: float
    seconds: float = 60.0


@dataclass
class SlidingWindow:
    """The amounts taken within the last `seconds`, oldest first."""

    seconds: float
    taken: deque[tuple[float, float]] = field(default_factory=deque)  # (time, amount)
    total: float = 0.0

    def forget(self, now: float) -> None:
        """Drop amounts older than the window."""
        while self.taken and self.taken[0][0] <= now - self.seconds:
            self.total -= self.taken.popleft()[1]
        if not self.taken:
            self.total = 0.0  # rounding errors do not accumulate


class RateLimits:
    """A sliding window for each name."""

    def __init__(self) -> None:
        self._windows: dict[str, SlidingWindow] = {}

    def wait(self, name: str, rate: Rate, amount: float = 1.0) -> float | None:
        """Take an amount and return None; or take nothing, and return the seconds until the amount fits.

        Infinity for an amount larger than the rate.
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

    def count_attempt(self, brakes: Mapping[str, Rate]) -> None:
        """Count an attempt under each name. Raises ApiError 429: too many under one of them."""
        for name, rate in brakes.items():
            wait = self.wait(name, rate)
            if wait is not None:
                minutes = max(1, round(wait / 60))
                raise ApiError(
                    429, "too_many_attempts", f"Too many attempts: try again in {minutes} min.", retry_after=wait
                )

    def may_attempt(self, brakes: Mapping[str, Rate]) -> bool:
        """Count an attempt under each name, or return False: there were too many under one of them."""
        return all(self.wait(name, rate) is None for name, rate in brakes.items())

    def give_back(self, name: str) -> None:
        """Undo the last amount taken under a name."""
        window = self._windows.get(name)
        if window is not None and window.taken:
            window.total -= window.taken.pop()[1]

    def forget(self) -> None:
        """Drop empty windows."""
        now = time.monotonic()
        for name, window in list(self._windows.items()):
            window.forget(now)
            if not window.taken:
                del self._windows[name]
