"""Recordings too long for one pass: their windows, and the statistics of the whole that each window needs."""

from collections.abc import Callable, Iterable

import numpy as np

from sonant.audio import Windowing
from sonant.extraction.request import Request
from sonant.models.backbone import Backbone
from sonant.models.normalization import RecordingStatistics


def windowing_of(request: Request, backbone: Backbone) -> Windowing | None:
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


def statistics_of(backbone: Backbone, read: Callable[[], Iterable[np.ndarray]]) -> RecordingStatistics | None:
    """Gather the statistics that windows of a recording need, in one pass over the blocks of `read`; None if none."""
    statistics = backbone.clip_statistics()
    if statistics is not None:
        for block in read():
            statistics.update(block)
    return statistics
