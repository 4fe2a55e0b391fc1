"""Overlapping windows of long recordings, and stitching of their frames.

Windows start at multiples of the stride, so that every frame of the recording is exactly a frame of some window. Each
frame is kept from the window in which it is farthest from the edges, with most context.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonant.errors import ConfigurationError, TooShortAudio


@dataclass(frozen=True)
class Window:
    """Samples [start_sample, end_sample) of a recording; frames [skip_frames, skip_frames + keep_frames) are kept.

    `first_frame` is the index in the recording of the first kept frame.
    """

    start_sample: int
    end_sample: int
    skip_frames: int
    keep_frames: int
    first_frame: int


@dataclass(frozen=True)
class Windowing:
    """The length and overlap of windows in frames; see `Windowing.of_seconds`.

    Attributes:
        window_frames: frames of every window; a shorter recording is one window.
        overlap_frames: frames that consecutive windows share; the last window is moved back to full length and may
            share more.
        stride: samples from frame to frame.
        receptive_field: samples of one frame.
    """

    window_frames: int
    overlap_frames: int
    stride: int = 320
    receptive_field: int = 400

    def __post_init__(self) -> None:
        if self.stride < 1 or self.receptive_field < 1:
            raise ConfigurationError(
                f"stride and receptive_field are {self.stride} and {self.receptive_field} samples; expected at least 1."
            )
        if self.window_frames < 1:
            raise ConfigurationError(
                f"A window of {self.window_frames} frames holds nothing; make it longer than one frame "
                f"({self.receptive_field} samples)."
            )
        if not 0 <= self.overlap_frames < self.window_frames:
            raise ConfigurationError(
                f"Windows of {self.window_frames} frames cannot overlap by {self.overlap_frames}: the overlap must be "
                "at least 0 and shorter than the window. A fifth of the window is a good choice."
            )

    @classmethod
    def of_seconds(
        cls,
        window_seconds: float,
        overlap_seconds: float,
        *,
        sampling_rate: int = 16000,
        stride: int = 320,
        receptive_field: int = 400,
    ) -> "Windowing":
        """Return the windowing nearest to these lengths, none longer than requested. Raises ConfigurationError."""
        for name, seconds in (("window_seconds", window_seconds), ("overlap_seconds", overlap_seconds)):
            if not 0 <= seconds < float("inf"):
                raise ConfigurationError(f"{name} is {seconds}; expected a finite number of seconds, at least 0.")
        window_samples = round(window_seconds * sampling_rate)
        window_frames = (window_samples - receptive_field) // stride + 1
        if window_frames < 1:
            raise ConfigurationError(
                f"A window of {window_seconds} s ({window_samples} samples) is shorter than one frame of the model "
                f"({receptive_field} samples): give seconds, and 10 or more of them for good features."
            )
        return cls(window_frames, round(overlap_seconds * sampling_rate / stride), stride, receptive_field)

    @property
    def window_samples(self) -> int:
        return (self.window_frames - 1) * self.stride + self.receptive_field

    @property
    def hop_samples(self) -> int:
        return (self.window_frames - self.overlap_frames) * self.stride

    def num_frames(self, num_samples: int) -> int:
        """Return the number of frames, T = (num_samples - receptive_field) // stride + 1."""
        return max(0, (num_samples - self.receptive_field) // self.stride + 1)

    def windows(self, num_samples: int) -> list[Window]:
        """Return the windows of a recording in order; they keep each of the frames 0 to T - 1 once.

        Raises TooShortAudio if the recording has no frame.
        """
        total = self.num_frames(num_samples)
        if total < 1:
            raise TooShortAudio(
                f"A recording of {num_samples} samples is shorter than one frame of the model ({self.receptive_field} "
                "samples): leave it out."
            )
        hop = self.window_frames - self.overlap_frames
        last = max(0, total - self.window_frames)  # the last window is moved back to full length
        starts = [*range(0, last, hop), last]  # in frames
        cuts = [0, *(self._cut(left, right) for left, right in pairwise(starts)), total]
        return [
            self._window(start, first, end, num_samples if start == last else None)
            for start, (first, end) in zip(starts, pairwise(cuts), strict=True)
        ]

    def regular(self, index: int) -> Window:
        """Return window number `index` of a recording in which the next window is complete, too."""
        hop = self.window_frames - self.overlap_frames
        start = index * hop
        first = self._cut(start - hop, start) if index else 0
        return self._window(start, first, self._cut(start, start + hop), None)

    def _cut(self, left: int, right: int) -> int:
        """Return the first frame to take from the window at `right` instead of `left`: the middle of their overlap."""
        return (left + self.window_frames + right + 1) // 2

    def _window(self, start: int, first: int, end: int, end_sample: int | None) -> Window:
        begin = start * self.stride
        return Window(
            start_sample=begin,
            end_sample=begin + self.window_samples if end_sample is None else end_sample,
            skip_frames=first - start,
            keep_frames=end - first,
            first_frame=first,
        )


def keep(piece: Any, window: Window, *, axis: int = 0) -> Any:
    """Return the kept frames of the features of one window, as a view."""
    end = window.skip_frames + window.keep_frames
    if piece.shape[axis] < end:
        raise ValueError(
            f"The window from sample {window.start_sample} to {window.end_sample} has {piece.shape[axis]} frames along "
            f"axis {axis} of {tuple(piece.shape)}, expected at least {end}: the stride or the axis is not the true one."
        )
    return piece[(slice(None),) * (axis % piece.ndim) + (slice(window.skip_frames, end),)]


def cut(blocks: Iterator[NDArray[np.float32]], windowing: Windowing) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """Cut a stream of blocks into windows, each with its samples (a new array).

    Equal to `windowing.windows` of the whole; at most a window, a hop and a block are in memory. Raises TooShortAudio
    at the end of a recording without frames.
    """
    held = np.empty(0, np.float32)
    begin, index = 0, 0  # start of `held`, in samples, and of the next window
    for block in blocks:
        held = np.concatenate([held, block])
        # A window is final once the next one is complete: then neither of them is moved back.
        while len(held) + begin >= (index + 1) * windowing.hop_samples + windowing.window_samples:
            window = windowing.regular(index)
            yield window, held[window.start_sample - begin : window.end_sample - begin].copy()
            index += 1
            held, begin = held[index * windowing.hop_samples - begin :], index * windowing.hop_samples
    for window in windowing.windows(begin + len(held))[index:]:
        yield window, held[window.start_sample - begin : window.end_sample - begin].copy()
