"""Recordings too long for one pass: their windows, and the statistics of the whole that each window needs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from sonant.audio import Windowing
from sonant.extraction.loudness import Loudness
from sonant.extraction.request import Request
from sonant.layers.clip_statistics import ClipStatistics
from sonant.models.backbone import Backbone


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


@dataclass(frozen=True, eq=False)
class Survey:
    """The statistics of a whole recording that its windows need.

    Attributes:
        loudness: None unless the model needs normalized waveforms.
        statistics: None unless a norm of the model is computed over whole clips.
    """

    loudness: Loudness | None = None
    statistics: ClipStatistics | None = None

    def normalize(self, samples: np.ndarray) -> np.ndarray:
        """Normalize samples (samples,) of the recording, if the model needs it."""
        return samples if self.loudness is None else self.loudness.normalize(samples)


def survey(backbone: Backbone, read: Callable[[], Iterable[np.ndarray]]) -> Survey:
    """Compute the statistics that windows need, in one pass over the blocks of `read`, or none if none are needed."""
    loudness = Loudness(backbone.normalize_epsilon) if backbone.normalize else None
    statistics = backbone.clip_statistics()
    accounts = [account for account in (loudness, statistics) if account is not None]
    if accounts:
        for block in read():
            for account in accounts:
                account.update(block)
    if loudness is not None and statistics is not None:
        statistics = statistics.scaled(loudness.mean, loudness.deviation)
    return Survey(loudness, statistics)
