"""Group norm statistics of a whole clip, by which the windows of a long recording are normalized."""

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
    """Statistics of a clip, from its samples in blocks of any length."""

    def update(self, samples: np.ndarray) -> None:
        """Add the next samples of the clip, (samples,)."""

    def scaled(self, shift: float, scale: float) -> ClipStatistics:
        """Statistics of `(samples - shift) / scale`."""


S = TypeVar("S")


def by_clip(kind: type[S], statistics: Sequence[object] | None, num_clips: int) -> list[S | None]:
    """Check that there is one entry of the kind, or None (not a window), for each clip; `statistics=None`: no windows.

    Raises ConfigurationError for a different number of entries, or for statistics of another kind of model.
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
    """Mean m and covariance C of the first convolution's input segments x (kernel,) over a whole clip, in float64.

    A channel with kernel w has output w.x, of mean w.m and variance w.C.w over the clip, so its group norm is
        weight * (w.x - w.m) / sqrt(w.C.w + EPS) + bias  =  factor * w.x + offset.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        self.kernel, self.stride = kernel, stride
        self._held = np.zeros(0, np.float64)  # samples from the start of the next segment
        self._moments = RunningMoments(np.zeros(kernel), np.zeros((kernel, kernel)))

    def update(self, samples: np.ndarray) -> None:
        """Add the next samples of the clip, (samples,)."""
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
        """Statistics of `(samples - shift) / scale`."""
        other = ConvStatistics(self.kernel, self.stride)
        seen = self._moments
        other._moments = RunningMoments((seen.mean - shift) / scale, seen.squares / scale**2, seen.count)
        return other

    def affine(self, conv: nn.Conv1d, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return factor and offset (see the class) of each channel: float64 (channels,), without the bias of `conv`."""
        taps = conv.weight.detach().double().cpu()[:, 0]  # (channels, kernel)
        mean = taps @ torch.from_numpy(self._moments.mean)
        variance = ((taps @ torch.from_numpy(self._moments.squares / self._moments.count)) * taps).sum(1)
        factor = weight.detach().double().cpu() / (variance + EPS).sqrt()
        return factor, bias.detach().double().cpu() - mean * factor

    def normalize(self, stream: Tensor, conv: nn.Conv1d, weight: Tensor, bias: Tensor) -> Tensor:
        """Normalize the convolution's output (1, channels, steps)."""
        factor, offset = self.affine(conv, weight, bias)
        if conv.bias is not None:  # `stream` contains it, and normalization removes it
            offset = offset - factor * conv.bias.detach().double().cpu()
        wide = stream.float()
        wide = wide * factor.to(wide)[:, None] + offset.to(wide)[:, None]
        return wide.to(stream.dtype)
