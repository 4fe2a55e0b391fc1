"""Statistics of a whole clip that is too long to be encoded at once, so that its windows are normalized alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from sonant.errors import ConfigurationError
from sonant.running_moments import RunningMoments

EPS = 1e-5  # torch's group norm's own


class ClipStatistics(Protocol):
    """Statistics of a clip, from its samples in blocks of any length; their kind depends on the model."""

    def update(self, samples: np.ndarray) -> None:
        """Take in the next samples of the clip, (samples,)."""

    def scaled(self, shift: float, scale: float) -> ClipStatistics:
        """The statistics of `(samples - shift) / scale`."""


S = TypeVar("S")


def by_clip(kind: type[S], statistics: Sequence[object] | None, num_clips: int) -> list[S | None]:
    """Return the statistics for each clip, None for one that is a whole; `statistics=None`: all of them are.

    Raises ConfigurationError for another number of them than there are clips, or if another kind of model made them.
    """
    given = [None] * num_clips if statistics is None else list(statistics)
    if len(given) != num_clips:
        raise ConfigurationError(
            f"{num_clips} clips were given with {len(given)} statistics. Give those of the whole clip for each window, "
            "and None for each clip that is a whole."
        )
    known: list[S | None] = []
    for one in given:
        if not (one is None or isinstance(one, kind)):
            raise ConfigurationError(
                f"This model normalizes windows with {kind.__name__}, but was given {type(one).__name__}. Gather them "
                "with the clip_statistics() of the model that encodes the windows."
            )
        known.append(one)
    return known


class ConvStatistics:
    """Mean and covariance of the stretches of samples that the first convolution sees, over a whole clip.

    Its output is linear in them, so the mean and variance of every channel follow, and a window of the clip can be
    normalized as the whole would be. Samples come in blocks of any length; float64 throughout.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        self.kernel, self.stride = kernel, stride
        self._held = np.zeros(0, np.float64)  # samples from the next stretch on
        self._moments = RunningMoments(np.zeros(kernel), np.zeros((kernel, kernel)))

    def update(self, samples: np.ndarray) -> None:
        """Take in the next samples of the clip, (samples,)."""
        held = np.concatenate([self._held, samples])
        new = max(0, (len(held) - self.kernel) // self.stride + 1)
        self._held = held[new * self.stride :]
        if new == 0:
            return
        stretches = np.lib.stride_tricks.sliding_window_view(held, self.kernel)[:: self.stride]  # (new, kernel)
        mean = stretches.mean(0)
        centered = stretches - mean
        self._moments.add(new, mean, centered.T @ centered, square=lambda gap: np.outer(gap, gap))

    def scaled(self, shift: float, scale: float) -> ConvStatistics:
        """The statistics of `(samples - shift) / scale`."""
        other = ConvStatistics(self.kernel, self.stride)
        seen = self._moments
        other._moments = RunningMoments((seen.mean - shift) / scale, seen.squares / scale**2, seen.count)
        return other

    def affine(self, conv: nn.Conv1d, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return the group norm (`weight`, `bias`) of the convolution's output over the whole clip as an affine map.

        Returns:
            Factor and offset for each channel of `conv.weight * x` without the convolution's bias: float64 (channels,).
        """
        taps = conv.weight.detach().double().cpu()[:, 0]  # (channels, kernel)
        mean = taps @ torch.from_numpy(self._moments.mean)
        variance = ((taps @ torch.from_numpy(self._moments.squares / self._moments.count)) * taps).sum(1)
        factor = weight.detach().double().cpu() / (variance + EPS).sqrt()
        return factor, bias.detach().double().cpu() - mean * factor

    def normalize(self, stream: Tensor, conv: nn.Conv1d, weight: Tensor, bias: Tensor) -> Tensor:
        """The convolution's output (1, channels, steps), normalized with the statistics of the whole clip."""
        factor, offset = self.affine(conv, weight, bias)
        if conv.bias is not None:  # the statistics take it away again
            offset = offset - factor * conv.bias.detach().double().cpu()
        wide = stream.float()
        wide = wide * factor.to(wide)[:, None] + offset.to(wide)[:, None]
        return wide.to(stream.dtype)
