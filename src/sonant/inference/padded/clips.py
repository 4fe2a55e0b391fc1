"""Padded batches: clips as rows, and functions that blocks on them need.

Blocks on padded batches can be traced into a graph; packed ones, with loops over clips, cannot. The true frames of
every clip equal those of the clip alone; values after them are never read by true frames, and are undefined.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sonant.layers.clip_norm import ClipGroupNorm
from sonant.layers.clip_statistics import EPS
from sonant.layers.conv_extractor import ClipNorm

NEVER = -1e30  # far below any logit; finite, so that a clip without frames gives no NaN


@dataclass(frozen=True, eq=False)
class Padded:
    """A padded batch, with what layers read of a packed one, so that those made of padded blocks run on it.

    Attributes:
        values: (batch, time, channels) for frames, (batch, time) for waveforms.
        lengths: int64 (batch,), length of the clip in each row.
    """

    values: Tensor
    lengths: Tensor

    @property
    def valid(self) -> Tensor:
        """bool (batch, time): the steps that belong to a clip."""
        return torch.arange(self.values.shape[1], device=self.lengths.device) < self.lengths[:, None]

    @property
    def sizes(self) -> Tensor:
        """The mask that restricts attention to the true frames of the clip: float (batch, 1, 1, time)."""
        return torch.where(self.valid, 0.0, NEVER)[:, None, None]

    @property
    def longest(self) -> int:
        """The length of the rows."""
        return self.values.shape[1]

    def with_values(self, values: Tensor) -> Padded:
        """Return a batch of the same lengths with other values."""
        return Padded(values, self.lengths)

    def emptied(self) -> Tensor:
        """Return the values of frames, (batch, time, channels), with zeros after each clip."""
        return self.values * self.valid[..., None].to(self.values.dtype)


def normalized(speech: Padded, epsilon: float) -> Padded:
    """Normalize waveforms (batch, samples) to zero mean and unit variance; see `models.normalize_waveform`."""
    valid, count, wide = speech.valid, speech.lengths.clamp(min=1)[:, None], speech.values.double()
    mean = torch.where(valid, wide, 0.0).sum(1, keepdim=True) / count
    centered = torch.where(valid, wide - mean, 0.0)
    variance = centered.square().sum(1, keepdim=True) / count
    return speech.with_values((centered * (variance + epsilon).rsqrt()).to(speech.values.dtype))


def clip_norm(norm: ClipNorm | ClipGroupNorm, stream: Tensor, lengths: Tensor) -> Tensor:
    """Apply group norm over the true steps of each clip: (batch, channels, steps)."""
    valid = Padded(stream[:, 0], lengths).valid[:, None].to(stream.dtype)  # (batch, 1, steps)
    count = lengths.clamp(min=1)[:, None, None]

    def mean(values: Tensor) -> Tensor:
        """Return the mean over time and the channels of each group: (batch, channels, 1)."""
        by_group = (values.sum(2, keepdim=True) / count).unflatten(1, (norm.groups, -1))
        return by_group.mean(2, keepdim=True).expand_as(by_group).flatten(1, 2)

    centered = (stream - mean(stream * valid)) * valid
    return centered * (norm.weight[:, None] * (mean(centered.square()) + EPS).rsqrt()) + norm.bias[:, None]
