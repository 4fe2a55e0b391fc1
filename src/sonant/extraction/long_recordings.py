"""Recordings too long for one pass: how they are cut, and what their windows must know of the whole."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from sonant.audio import Windowing
from sonant.extraction.loudness import Loudness
from sonant.extraction.request import Request
from sonant.layers.clip_statistics import ClipStatistics
from sonant.models.backbone import Backbone


def windowing_of(request: Request, backbone: Backbone) -> Windowing | None:
    """Return how a request wants long recordings to be cut for a model; None: not at all."""
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
    """What windows must know of their whole recording.

    Attributes:
        loudness: where the model wants waveforms normalised.
        statistics: where a norm of the model takes in whole clips.
    """

    loudness: Loudness | None = None
    statistics: ClipStatistics | None = None

    def normalize(self, samples: np.ndarray) -> np.ndarray:
        """Samples of the recording (samples,) as the model wants them."""
        return samples if self.loudness is None else self.loudness.normalize(samples)


def survey(backbone: Backbone, read: Callable[[], Iterable[np.ndarray]]) -> Survey:
    """One pass over a whole recording, in the blocks that `read` gives; or none, where nothing must be known of it."""
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
