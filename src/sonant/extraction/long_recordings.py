"""Recordings too long for one pass: their windows, and the statistics of the whole that each window needs."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from sonant.audio import Window, Windowing
from sonant.extraction.request import EncodeRequest
from sonant.models.backbone import Backbone
from sonant.models.normalization import RecordingStatistics

BLOCK_SECONDS = 30.0


def windowing_of(request: EncodeRequest, backbone: Backbone) -> Windowing | None:
    """Return the windows into which a request cuts long recordings for a model; None: it does not cut them."""
    if request.window_seconds is None:
        return None
    return Windowing.of_seconds(
        request.window_seconds,
        request.overlap,
        sampling_rate=backbone.sampling_rate,
        stride=backbone.stride,
        receptive_field=backbone.receptive_field,
    )


def windowing_for(num_samples: int, windowing: Windowing | None) -> Windowing | None:
    """Return the windowing if a recording of so many samples is to be cut; None if it fits into one window."""
    return windowing if windowing is not None and windowing.num_frames(num_samples) > windowing.window_frames else None


def computed_samples(num_samples: int, windowing: Windowing | None) -> int:
    """Return how many samples the model computes of a recording: those that windows share count for each."""
    if (needed := windowing_for(num_samples, windowing)) is None:
        return num_samples
    return sum(window.end_sample - window.start_sample for window in needed.windows(num_samples))


def cut_up(samples: np.ndarray, windowing: Windowing | None) -> Iterator[tuple[Window | None, np.ndarray]]:
    """Yield the windows of a recording (samples,), each with a view of its samples; without windowing all of it."""
    if windowing is None:
        yield None, samples
        return
    for window in windowing.windows(len(samples)):
        yield window, samples[window.start_sample : window.end_sample]


def in_blocks(samples: np.ndarray, sampling_rate: int) -> Iterator[np.ndarray]:
    """Yield a recording (samples,) in blocks: statistics are in float64, and copies of hours would be large."""
    block = round(BLOCK_SECONDS * sampling_rate)
    for start in range(0, len(samples), block):
        yield samples[start : start + block]


def statistics_of(backbone: Backbone, read: Callable[[], Iterable[np.ndarray]]) -> RecordingStatistics | None:
    """Gather the statistics that windows of a recording need, in one pass over the blocks of `read`; None if none."""
    statistics = backbone.clip_statistics()
    if statistics is not None:
        for block in read():
            statistics.update(block)
    return statistics
