"""Progress in hours of audio, with the real-time factor."""

import time
from threading import Lock
from typing import Self

from sonant.data.progress import Progress


class AudioProgress:
    """Progress of encoding, in minutes or hours of audio; `show` as in `Progress`."""

    def __init__(self, total_seconds: float, *, show: bool | None = None, title: str = "encoding") -> None:
        self._lock = Lock()
        self.seconds = 0.0
        self.started = time.monotonic()
        unit, self._unit_seconds = ("h", 3600.0) if total_seconds >= 3600 else ("min", 60.0)
        self._progress = Progress(total_seconds / self._unit_seconds, title=title, unit=unit, show=show, leave=False)

    def __call__(self, seconds: float) -> None:
        """Add finished seconds of audio. Thread-safe."""
        with self._lock:
            self.seconds += seconds
        if speed := self.speed:
            self._progress.note = f"{speed:.0f} x real time"
        self._progress.update(seconds / self._unit_seconds)

    @property
    def wall_seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def speed(self) -> float:
        """Seconds of audio per second."""
        return self.seconds / max(self.wall_seconds, 1e-9)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.close()
