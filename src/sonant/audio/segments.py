"""Segments: parts of recordings, given in seconds."""

from dataclasses import dataclass
from math import isfinite

from sonant.errors import ConfigurationError, MissingSegment

# A segment may end this much after its recording, and is then cut there: lists round their times.
OVERSHOOT_SECONDS = 0.1


@dataclass(frozen=True)
class Segment:
    """Part of a recording.

    It is cut at the sampling rate of the file, and resampled afterwards: the samples of `read` are those of a file that
    contains the segment alone.

    Attributes:
        start: seconds from the beginning of the recording.
        end: seconds from the beginning of the recording; None: its end.

    Raises:
        ConfigurationError: the times are not numbers, or the segment ends before it begins.
    """

    start: float = 0.0
    end: float | None = None

    def __post_init__(self) -> None:
        for seconds in (self.start, 0.0 if self.end is None else self.end):
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not isfinite(seconds):
                raise ConfigurationError(f"A segment from {self.start!r} to {self.end!r} was given; expected seconds.")
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            raise ConfigurationError(
                f"A segment from {self.start:g} to {self.end} s was given; expected a start of 0 or more, and an end "
                "after it."
            )

    @property
    def duration(self) -> float | None:
        """Seconds from start to end; None if it reaches to the end of the recording."""
        return None if self.end is None else self.end - self.start

    def __str__(self) -> str:
        start = seconds_text(self.start)
        return f"from {start} s" if self.end is None else f"{start} to {seconds_text(self.end)} s"

    def samples(self, rate: int, frames: int | None, name: str) -> tuple[int, int | None]:
        """Return the numbers of the first sample and of the one after the last; None for an unknown end.

        Args:
            rate: of the recording, in hertz.
            frames: its length in samples; None if unknown.
            name: its name in messages.

        Raises:
            MissingSegment: the recording ends before the segment does, by more than 0.1 s.
        """
        first, stop = round(self.start * rate), None if self.end is None else round(self.end * rate)
        if frames is None:
            return first, stop
        if first >= frames or (stop is not None and stop - frames > OVERSHOOT_SECONDS * rate):
            raise self._outside(name, frames / rate)
        return first, frames if stop is None else min(stop, frames)

    def check_complete(self, done: int, rate: int, name: str) -> None:
        """Raise MissingSegment if only `done` samples of the segment were found in a recording of unknown length."""
        wanted = 0 if self.end is None else round(self.end * rate) - round(self.start * rate)
        if not done or wanted - done > OVERSHOOT_SECONDS * rate:
            raise self._outside(name, self.start + done / rate if done else None)

    def _outside(self, name: str, seconds: float | None) -> MissingSegment:
        length = "ends before it" if seconds is None else f"ends after {seconds:.2f} s"
        return MissingSegment(
            f"{name}: the segment {self} was asked for, and the recording {length}. Are its times in seconds, and of "
            "this recording?"
        )


def seconds_text(seconds: float) -> str:
    """Return seconds as text, to the microsecond, without trailing zeros."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".")
