"""Normalization of waveforms to zero mean and unit variance, and the term that toolkits add to the variance.

For a recording with a root mean square of 0.1 the two floors below give the same to three digits; at 0.01, which is
-40 dB of full scale, they differ by 5 %, at 0.001 by a factor of three. So the floor is stored with the checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from sonant.errors import ConfigurationError
from sonant.layers.clip_statistics import ClipStatistics
from sonant.running_moments import RunningMoments

ORIGINAL_EPSILON = 1e-5  # of `F.layer_norm`, which fairseq, unilm, s3prl, fairseq2 and torchaudio's bundles call
TRANSFORMERS_EPSILON = 1e-7  # of `Wav2Vec2FeatureExtractor`


def normalize_waveform(waveform: Tensor, epsilon: float) -> Tensor:
    """Zero mean and unit variance over one whole clip.

    Args:
        waveform: (samples,). Mean and variance are taken in float64: in float32 those of a quiet recording with an
            offset lose their digits.
        epsilon: added to the variance; it also keeps silence finite.
    """
    wide = waveform.double()
    centered = wide - wide.mean()
    return (centered * (centered.square().mean() + epsilon).rsqrt()).to(waveform.dtype)


class WaveformStatistics:
    """Mean and variance of the samples of a whole recording, gathered in blocks of any length, in float64."""

    def __init__(self) -> None:
        self._moments = RunningMoments(0.0, 0.0)

    @property
    def mean(self) -> float:
        return self._moments.mean

    def update(self, samples: np.ndarray) -> None:
        """Take in the next samples, (samples,)."""
        if len(samples) == 0:
            return
        wide = samples.astype(np.float64)
        self._moments.add(len(wide), float(wide.mean()), float(np.square(wide - wide.mean()).sum()))

    def deviation(self, epsilon: float) -> float:
        """Return the root of the variance plus `epsilon`."""
        return float(np.sqrt(self._moments.squares / max(self._moments.count, 1) + epsilon))

    def normalize(self, waveform: Tensor, epsilon: float) -> Tensor:
        """Normalize a window (samples,) of the recording by the mean and variance of the whole."""
        return ((waveform.double() - self.mean) / self.deviation(epsilon)).to(waveform.dtype)


@dataclass(frozen=True, eq=False)
class RecordingStatistics:
    """The statistics of a whole recording by which a backbone normalizes windows of it.

    Attributes:
        waveform: of the samples, where the model normalizes waveforms.
        extractor: of the input of a norm over the whole clip, where the extractor has one; before the waveform is
            normalized.
    """

    waveform: WaveformStatistics | None
    extractor: ClipStatistics | None

    def update(self, samples: np.ndarray) -> None:
        """Take in the next samples of the recording, float (samples,), as they are."""
        for statistics in (self.waveform, self.extractor):
            if statistics is not None:
                statistics.update(samples)

    def normalize(self, waveform: Tensor, epsilon: float) -> Tensor:
        """Normalize a window (samples,) of the recording."""
        if self.waveform is None:
            raise ConfigurationError(
                "This model normalizes waveforms, and the statistics of the recording were gathered for one that does "
                "not. Gather them with the clip_statistics() of the model that encodes the windows."
            )
        return self.waveform.normalize(waveform, epsilon)

    def of_normalized(self, epsilon: float) -> ClipStatistics | None:
        """Return the statistics for the extractor, which sees the waveform normalized where the model does that."""
        if self.waveform is None or self.extractor is None:
            return self.extractor
        return self.extractor.scaled(self.waveform.mean, self.waveform.deviation(epsilon))


def check_epsilon(epsilon: float) -> None:
    """Raise ConfigurationError unless silence stays finite."""
    if not epsilon > 0:
        raise ConfigurationError(
            f"normalize_epsilon={epsilon} would divide by zero where a recording is silent. Give a small positive "
            f"number: {TRANSFORMERS_EPSILON:g} for a model of transformers, {ORIGINAL_EPSILON:g} for one of fairseq."
        )
