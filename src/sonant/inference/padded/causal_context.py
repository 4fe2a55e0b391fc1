"""A causal convolution on padded speech."""

import torch
from torch import Tensor, nn

from sonant.inference.padded.clips import Padded, clip_norm
from sonant.layers.causal_context import CausalLayer


class PaddedCausalLayer(nn.Module):
    """`CausalLayer`."""

    def __init__(self, layer: CausalLayer) -> None:
        super().__init__()
        self.plain = layer

    def forward(self, frames: Padded) -> Tensor:
        """(batch, time, dim) to the same."""
        plain, stream = self.plain, frames.values.transpose(1, 2)
        before = torch.zeros_like(stream[..., :1]) if plain.zero_padding else stream[..., :1]
        stream = torch.cat([before.expand(-1, -1, plain.reach), stream], 2)
        return plain.activation(clip_norm(plain.norm, plain.conv(stream), frames.lengths)).transpose(1, 2)
