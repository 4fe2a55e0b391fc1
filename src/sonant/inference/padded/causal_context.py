"""Causal convolutions on padded speech."""

import torch
from torch import Tensor, nn

from sonant.inference.padded.clips import Padded, clip_norm
from sonant.layers.causal_context import CausalContext, CausalLayer


class PaddedCausalLayer(nn.Module):
    """`CausalLayer`."""

    def __init__(self, layer: CausalLayer) -> None:
        super().__init__()
        self.plain = layer

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(batch, time, dim) to the same."""
        plain, stream = self.plain, x.transpose(1, 2)
        before = torch.zeros_like(stream[..., :1]) if plain.zero_padding else stream[..., :1]
        stream = torch.cat([before.expand(-1, -1, plain.reach), stream], 2)
        return plain.activation(clip_norm(plain.norm, plain.conv(stream), lengths)).transpose(1, 2)


class PaddedCausalContext(nn.Module):
    """`CausalContext`."""

    def __init__(self, context: CausalContext) -> None:
        super().__init__()
        self.skip_connections = context.skip_connections
        self.layers = nn.ModuleList(
            PaddedCausalLayer(layer) for layer in context.layers if isinstance(layer, CausalLayer)
        )

    def forward(self, frames: Padded, depth: int) -> list[Tensor]:
        """States 0 to `depth`, each (batch, time, dim)."""
        states = [frames.values]
        for layer in self.layers[:depth]:
            x = states[-1]
            y = layer(x, frames.lengths)
            states.append((y + x) * 0.5**0.5 if self.skip_connections else y)
        return states
