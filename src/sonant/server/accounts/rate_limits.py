"""Rate limits over sliding windows, in bounded memory.

Kept in memory of this process: behind a load balancer with n servers, a key has n times its rates. (The in-memory store
of the package `limits` starts a thread for each call and keeps an object for each unit, 0.8 ms a call where audio is
counted in seconds, and cannot tell when a larger amount would fit.)
"""

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from secrets import token_bytes
from typing import NamedTuple, TypeVar

from sonant.server.errors import ApiError

K = TypeVar("K")
DAY = 86_400.0  # seconds
MOST = 50_000  # names that have a window of their own
SHARED = 16_384  # windows of each length that further names share
CHECKED = 2  # windows that are looked at for each new one


class Rate(NamedTuple):
    """A limit: at most `amount` in any `seconds` seconds."""

    amount: float
    seconds: float = 60.0


class Refusal(NamedTuple):
    """The name and the rate under which an amount does not fit, and the seconds until it does."""

    name: str
    rate: Rate
    wait: float


@dataclass
class SlidingWindow:
    """The amounts taken within the last `seconds`, oldest first."""

    seconds: float
    taken: list[tuple[float, float]] = field(default_factory=list)  # (time, amount)
    total: float = 0.0

    def forget(self, now: float) -> None:
        """Drop amounts older than the window."""
        count = 0
        while count < len(self.taken) and self.taken[count][0] <= now - self.seconds:
            self.total -= self.taken[count][1]
            count += 1
        if count:
            del self.taken[:count]
        if not self.taken:
            self.total = 0.0  # rounding errors do not accumulate

    def add(self, amount: float, now: float) -> None:
        self.taken.append((now, amount))
        self.total += amount

    def wait(self, amount: float, most: float, now: float) -> float:
        """Return the seconds until an amount fits, 0 if it does now."""
        left_over = self.total + amount - most
        if left_over <= 0:
            return 0.0
        for when, much in self.taken[:-1]:
            left_over -= much
            if left_over <= 0:
                return when + self.seconds - now
        return self.taken[-1][0] + self.seconds - now  # without the last, whatever rounding says


class RateLimits:
    """A sliding window for each name, of which only a keyed hash is kept.

    Clients may choose names, so their number is bounded: `MOST` have windows of their own, which end when they are
    empty. Further names share `SHARED` windows, by their hash. No window is dropped for another, so that no flood of
    names makes a limit forget; it makes the limits of new names too strict, by n / `SHARED` amounts on average after n
    names.
    """

    def __init__(self) -> None:
        self._windows: OrderedDict[bytes, SlidingWindow] = OrderedDict()
        self._shared: OrderedDict[tuple[float, int], SlidingWindow] = OrderedDict()
        self._key = token_bytes(32)  # clients cannot choose names that share a window

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self._windows) + len(self._shared)

    def take(self, rates: Mapping[str, Rate], amount: float = 1.0) -> Refusal | None:
        """Take an amount under each name and return None; or take nothing, and return the first refusal.

        Its time is infinity for an amount larger than the rate.
        """
        now = time.monotonic()
        windows = []
        for name, rate in rates.items():
            if amount > rate.amount:
                return Refusal(name, rate, float("inf"))
            window = self._window(name, rate.seconds, now)
            wait = 0.0 if window is None else window.wait(amount, rate.amount, now)
            if wait > 0:
                return Refusal(name, rate, wait)
            windows.append(window)
        for (name, rate), window in zip(rates.items(), windows, strict=True):
            (window or self._new_window(name, rate.seconds, now)).add(amount, now)
        return None

    def count_attempt(self, brakes: Mapping[str, Rate]) -> None:
        """Count an attempt under each name. Raises ApiError 429: too many under one of them; then none is counted."""
        refusal = self.take(brakes)
        if refusal is not None:
            minutes = max(1, round(refusal.wait / 60))
            raise ApiError(
                429, "too_many_attempts", f"Too many attempts: try again in {minutes} min.", retry_after=refusal.wait
            )

    def give_back(self, rates: Mapping[str, Rate]) -> None:
        """Undo the last amount taken under each name."""
        for name, rate in rates.items():
            window = self._window(name, rate.seconds, time.monotonic())
            if window is not None and window.taken:
                window.total -= window.taken.pop()[1]

    def _window(self, name: str, seconds: float, now: float) -> SlidingWindow | None:
        """Return the window that counts for a name, if there is one."""
        digest = self._digest(name)
        window = self._windows.get(digest) or self._shared.get((seconds, _slot(digest)))
        if window is not None:
            window.forget(now)
        return window

    def _new_window(self, name: str, seconds: float, now: float) -> SlidingWindow:
        """Make a window for a name that has none: its own, or a shared one if there are many."""
        _drop_ended(self._windows, now)
        _drop_ended(self._shared, now)
        digest = self._digest(name)
        if len(self._windows) < MOST:
            return self._windows.setdefault(digest, SlidingWindow(seconds))
        return self._shared.setdefault((seconds, _slot(digest)), SlidingWindow(seconds))

    def _digest(self, name: str) -> bytes:
        return blake2b(name.encode(errors="backslashreplace"), digest_size=16, key=self._key).digest()


def _slot(digest: bytes) -> int:
    return int.from_bytes(digest[:4]) % SHARED


def _drop_ended(windows: OrderedDict[K, SlidingWindow], now: float) -> None:
    """Look at the windows that were looked at longest ago, and drop those that are empty."""
    for _ in range(min(CHECKED, len(windows))):
        name, window = windows.popitem(last=False)
        window.forget(now)
        if window.taken:
            windows[name] = window
