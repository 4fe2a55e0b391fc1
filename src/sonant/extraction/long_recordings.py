"""Recordings too long for one pass: windows, and statistics of the whole recording for each window."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from sonant.audio import Window, Windowing
from sonant.extraction.request import EncodeRequest
from sonant.models.backbone import Backbone
from sonant.models.normalization import RecordingStatistics

BLOCK_SECONDS = 30.0


def windowing_of(request: EncodeRequest, backbone: Backbone) -> Windowing | None:
    """Return the windowing of long recordings for a request and a model; None: they are not cut."""
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
    """Return the windowing, or None if a recording of this length fits into one window."""
    return windowing if windowing is not None and windowing.num_frames(num_samples) > windowing.window_frames else None


def computed_samples(num_samples: int, windowing: Windowing | None) -> int:
    """Return the total samples of a recording's windows, overlaps included."""
    if (needed := windowing_for(num_samples, windowing)) is None:
        return num_samples
    return sum(window.end_sample - window.start_sample for window in needed.windows(num_samples))


def cut_up(samples: np.ndarray, windowing: Windowing | None) -> Iterator[tuple[Window | None, np.ndarray]]:
    """Yield windows of a recording (samples,) with views of their samples; without windowing (None, all samples)."""
    if windowing is None:
        yield None, samples
        return
    for window in windowing.windows(len(samples)):
        yield window, samples[window.start_sample : window.end_sample]


def in_blocks(samples: np.ndarray, sampling_rate: int) -> Iterator[np.ndarray]:
    """Yield a recording (samples,) in blocks, which keep the float64 copies of statistics small."""
    block = round(BLOCK_SECONDS * sampling_rate)
    for start in range(0, len(samples), block):
        yield samples[start : start + block]


def statistics_of(backbone: Backbone, read: Callable[[], Iterable[np.ndarray]]) -> RecordingStatistics | None:
    """Return the statistics of a recording that its windows need, from the blocks of `read`; None: none needed."""
    statistics = backbone.clip_statistics()
    if statistics is not None:
        for block in read():
            statistics.update(block)
    return statistics
