"""A progress bar in hours of audio, with the real-time factor."""

import sys
import time
from threading import Lock
from types import TracebackType
from typing import Self

from tqdm import tqdm

from sonant.errors import one_line


class Progress:
    """A progress bar on stderr, shown if `show`, or if that is None and stderr is a terminal."""

    def __init__(self, total_seconds: float, *, show: bool | None = None, title: str = "encoding") -> None:
        self._lock = Lock()
        self.seconds = 0.0
        self.started = time.monotonic()
        hours = total_seconds >= 3600
        self._unit = 3600.0 if hours else 60.0
        self._bar = tqdm(
            total=total_seconds / self._unit,
            desc=one_line(title),
            unit="h" if hours else "min",
            bar_format="{desc} {percentage:3.0f} %|{bar}| {n:.2f}/{total:.2f} {unit}, {elapsed}<{remaining}{postfix}",
            disable=not (sys.stderr.isatty() if show is None else show),
            file=sys.stderr,
            leave=False,
            dynamic_ncols=True,
        )

    def __call__(self, seconds: float) -> None:
        """Add finished seconds of audio. Thread-safe."""
        with self._lock:
            self.seconds += seconds
            speed = self.speed
            if speed and not self._bar.disable:
                self._bar.set_postfix_str(f"{speed:.0f} x real time", refresh=False)
            self._bar.update(seconds / self._unit)

    @property
    def wall_seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def speed(self) -> float:
        """Seconds of audio per second."""
        return self.seconds / max(self.wall_seconds, 1e-9)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
