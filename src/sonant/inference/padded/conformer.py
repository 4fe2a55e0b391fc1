"""Conformer layers with relative keys and causal convolutions, on padded batches."""

import torch.nn.functional as F
from torch import Tensor, nn

from sonant.inference.padded.attention import PaddedSelfAttention
from sonant.layers.attention import SelfAttention
from sonant.layers.conformer import ConformerEncoder, ConformerLayer, ConvModule


class PaddedConvModule(nn.Module):
    """`ConvModule`: causal, so that it does not depend on padding."""

    def __init__(self, module: ConvModule) -> None:
        super().__init__()
        self.plain = module

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, dim) to the same."""
        plain = self.plain
        gated = F.glu(plain.inner(plain.norm(x)), -1).transpose(1, 2)
        moved = plain.depthwise(F.pad(gated, (plain.depthwise.kernel_size[0] - 1, 0))).transpose(1, 2)
        output: Tensor = plain.outer(F.silu(plain.depthwise_norm(moved)))
        return output


class PaddedConformerLayer(nn.Module):
    """`ConformerLayer`."""

    def __init__(self, layer: ConformerLayer) -> None:
        super().__init__()
        assert isinstance(layer.attention, SelfAttention)
        assert isinstance(layer.conv, ConvModule)
        self.feed_forward_1_norm, self.feed_forward_1 = layer.feed_forward_1_norm, layer.feed_forward_1
        self.attention_norm, self.attention = layer.attention_norm, PaddedSelfAttention(layer.attention)
        self.conv = PaddedConvModule(layer.conv)
        self.feed_forward_2_norm, self.feed_forward_2 = layer.feed_forward_2_norm, layer.feed_forward_2
        self.norm = layer.norm

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(batch, time, dim) to the same; `mask` as for `PaddedSelfAttention`."""
        x = x + 0.5 * self.feed_forward_1(self.feed_forward_1_norm(x))
        x = x + self.attention(self.attention_norm(x), mask)
        x = x + self.conv(x)
        x = x + 0.5 * self.feed_forward_2(self.feed_forward_2_norm(x))
        normed: Tensor = self.norm(x)
        return normed


class PaddedConformerEncoder(nn.Module):
    """`ConformerEncoder` without a norm of its own and without tables of positions."""

    def __init__(self, encoder: ConformerEncoder) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            PaddedConformerLayer(layer) for layer in encoder.layers if isinstance(layer, ConformerLayer)
        )

    def forward(self, x: Tensor, mask: Tensor, depth: int) -> tuple[list[Tensor], Tensor]:
        """Frames (batch, time, dim) to hidden states 0 to `depth` and the last of them, each of that shape."""
        states = [x]
        for layer in self.layers[:depth]:
            states.append(layer(states[-1], mask))
        return states, states[-1]
