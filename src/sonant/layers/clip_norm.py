"""Group norm over the frames of each clip of a packed batch."""

import torch
from torch import Tensor, nn

from sonant.layers.packed import Packed

EPS = 1e-5  # as in `nn.GroupNorm`


class ClipGroupNorm(nn.Module):
    """Group norm with statistics over the channels of a group and all frames of one clip.

    Equal to `nn.GroupNorm` applied to each clip alone. Computed in float32 at least.
    """

    def __init__(self, channels: int, *, groups: int = 1) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, frames: Packed) -> Tensor:
        """(total, channels) to the same."""
        values = frames.values
        wide = values.to(torch.promote_types(values.dtype, torch.float32)).unflatten(1, (self.groups, -1))
        lengths, clip = frames.lengths.to(values.device), frames.clip_of_step
        mean = torch.segment_reduce(wide.mean(2), "mean", lengths=lengths)  # (batch, groups)
        centered = wide - mean.index_select(0, clip)[..., None]  # (total, groups, channels / groups)
        variance = torch.segment_reduce(centered.square().mean(2), "mean", lengths=lengths)
        scale = (variance + EPS).rsqrt().index_select(0, clip)[..., None]
        return ((centered * scale).flatten(1) * self.weight + self.bias).to(values.dtype)
