"""Length adapters between a speech encoder and a decoder or head: strided convolutions, optionally with attention."""

from collections.abc import Sequence
from math import prod

import torch.nn.functional as F
from torch import Tensor, nn

from sonant.layers.attention import SelfAttention
from sonant.layers.packed import Packed, require_steps, steps_at
from sonant.layers.transformer import FeedForward


class StridedGate(nn.Conv1d):
    """A strided convolution and a gated linear unit; each clip is padded with `margin` zeros on either side.

    The `weight` is (2 * dim, dim, kernel).
    """

    def __init__(self, dim: int, *, kernel: int, stride: int, margin: int) -> None:
        super().__init__(dim, 2 * dim, kernel, stride)
        self.margin = margin
        nn.init.kaiming_normal_(self.weight)

    @property
    def min_frames(self) -> int:
        """Fewest frames of a clip that give one output frame."""
        return max(1, self.kernel_size[0] - 2 * self.margin)

    def shortened(self, frames: Packed) -> Packed:
        """Shorten (total, dim); clips start at multiples of the stride in one stream."""
        (kernel,), (stride,) = self.kernel_size, self.stride
        padded = frames.lengths + 2 * self.margin
        lengths = (padded - kernel) // stride + 1
        require_steps(frames.sizes, self.min_frames, "one frame of the adapter")
        slots = -(-padded // stride) * stride
        starts = F.pad(slots.cumsum(0), (1, 0))
        device = frames.values.device
        stream = frames.values.new_zeros(int(starts[-1]) + kernel, frames.values.shape[1])
        at = steps_at(starts[:-1] + self.margin, frames.lengths).to(device)
        moved = self(stream.index_copy(0, at, frames.values).T[None])[0].T  # (steps, 2 * dim)
        rows = steps_at(starts[:-1] // stride, lengths).to(device)
        return Packed(F.glu(moved.index_select(0, rows)), lengths)


class GatedConvLayer(nn.Module):
    """An adapter layer that consists of a gated convolution.

    Source: transformers `Wav2Vec2AdapterLayer`, whose margin is one frame whatever the stride.
    """

    def __init__(self, dim: int, *, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = StridedGate(dim, kernel=kernel, stride=stride, margin=1)

    @property
    def gate(self) -> StridedGate:
        """The convolution that determines the number of output frames."""
        return self.conv

    def forward(self, frames: Packed) -> Packed:
        """Shorten (total, dim)."""
        return self.conv.shortened(frames)


class ConvAdapterLayer(nn.Module):
    """Attention over shortened frames, with a shortened residual connection, then a feed-forward block."""

    def __init__(
        self,
        dim: int,
        attention: SelfAttention,
        feed_forward: FeedForward,
        *,
        kernel: int,
        stride: int,
        dropout: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.residual_norm, self.attention_norm, self.feed_forward_norm = (nn.LayerNorm(dim, eps=eps) for _ in range(3))
        self.residual_conv, self.attention_conv = (
            StridedGate(dim, kernel=kernel, stride=stride, margin=stride // 2) for _ in range(2)
        )
        self.attention, self.feed_forward = attention, feed_forward
        self.dropout = nn.Dropout(dropout)

    @property
    def gate(self) -> StridedGate:
        """The convolution that determines the number of output frames."""
        return self.residual_conv

    def forward(self, frames: Packed) -> Packed:
        """Shorten (total, dim)."""
        residual = self.residual_conv.shortened(frames.with_values(self.residual_norm(frames.values)))
        short = self.attention_conv.shortened(frames.with_values(self.attention_norm(frames.values)))
        x = residual.values + self.dropout(self.attention(short.values, short.sizes))
        return residual.with_values(x + self.feed_forward(self.feed_forward_norm(x)))


class ConvAdapter(nn.Module):
    """An optional half feed-forward block, an optional projection, then layers that each shorten the clip.

    Args:
        dim, adapter_dim: width before and after.
        layers: the layers.
        feed_forward: the block before the layers, if any.

    Source: Seamless (arXiv 2312.05187); transformers `Wav2Vec2BertAdapter` and `Wav2Vec2Adapter`. There,
    LayerDrop may skip a layer of the adapter and its shortening; not here.
    """

    def __init__(
        self,
        dim: int,
        adapter_dim: int,
        layers: Sequence[ConvAdapterLayer | GatedConvLayer],
        *,
        feed_forward: FeedForward | None = None,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.feed_forward = feed_forward
        self.projection = self.projection_norm = None
        if adapter_dim != dim:
            self.projection, self.projection_norm = nn.Linear(dim, adapter_dim), nn.LayerNorm(adapter_dim, eps=eps)
        self.layers = nn.ModuleList(layers)

    @property
    def gates(self) -> list[StridedGate]:
        """The convolution of each layer that determines the number of output frames."""
        return [layer.gate for layer in self.layers if isinstance(layer, ConvAdapterLayer | GatedConvLayer)]

    @property
    def stride(self) -> int:
        """Input frames for one output frame."""
        return prod(gate.stride[0] for gate in self.gates)

    def frames_for(self, count: int) -> int:
        """Fewest frames of a clip that give `count` output frames."""
        for gate in reversed(self.gates):
            count = max(1, (count - 1) * gate.stride[0] + gate.kernel_size[0] - 2 * gate.margin)
        return count

    def widened(self, frames: Tensor) -> Tensor:
        """Compute the input of the first layer: (total, dim) to (total, adapter_dim)."""
        if self.feed_forward is not None:
            frames = frames + 0.5 * self.feed_forward(frames)
        if self.projection is not None and self.projection_norm is not None:
            frames = self.projection_norm(self.projection(frames))
        return frames

    def forward(self, frames: Packed) -> Packed:
        """Shorten (total, dim) to (fewer, adapter_dim)."""
        frames = frames.with_values(self.widened(frames.values))
        for layer in self.layers:
            frames = layer(frames)
        return frames


def gated_adapter(dim: int, adapter_dim: int | None, *, layers: int, kernel: int, stride: int) -> ConvAdapter | None:
    """Build the adapter of wav2vec 2.0 in transformers, gated convolutions only; None for zero layers."""
    if not layers:
        return None
    width = adapter_dim or dim
    return ConvAdapter(dim, width, [GatedConvLayer(width, kernel=kernel, stride=stride) for _ in range(layers)])
