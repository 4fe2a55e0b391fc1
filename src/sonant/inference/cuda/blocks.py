"""Blocks for a GPU: products in half precision; sums, norms and softmax in float32."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.inference.attention import FusedSelfAttention
from sonant.layers.attention import SelfAttention
from sonant.layers.attention_adapter import AttentionAdapter
from sonant.layers.clip_convolution import ClipConv, convolve_clips
from sonant.layers.kernels.activations import activation
from sonant.layers.kernels.triton_norm import norm_rows
from sonant.layers.packed import Packed
from sonant.layers.positions import BatchNormPositions, StackedPositions, WeightNormConv, affine, plain_norm_gelu
from sonant.layers.transformer import FeedForward, TransformerLayer
from sonant.models.maskable import FeatureProjection

ROWS = 1 << 14  # rows of a feed-forward block at a time, so that the widest tensor has 256 MB
ALIGNMENT = 16  # multiple of the columns of a product, so that kernels load aligned rows


class CudaLinear(nn.Module):
    """A linear layer computed in a given dtype."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.weight = weight.detach().to(dtype)
        self.bias = None if bias is None else bias.detach().to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, in) to (rows, out)."""
        return F.linear(x.to(self.weight.dtype), self.weight, self.bias)


class CudaConv(nn.Module):
    """A convolution computed in a given dtype."""

    def __init__(self, conv: nn.Conv1d, dtype: torch.dtype) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.groups = conv.kernel_size, conv.stride, conv.groups
        self.padding = conv.padding
        self.weight = conv.weight.detach().to(dtype)
        self.bias = None if conv.bias is None else conv.bias.detach().to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(1, in, steps) to (1, out, fewer steps)."""
        x = x.to(self.weight.dtype)
        return F.conv1d(x, self.weight, self.bias, self.stride, self.padding, groups=self.groups)


class WideNorm(nn.Module):
    """A layer norm in float32."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight.detach().float(), norm.bias.detach().float(), norm.eps

    def forward(self, x: Tensor) -> Tensor:
        """(rows, dim) to the same."""
        return F.layer_norm(x.float(), self.weight.shape, self.weight, self.bias, self.eps)


class WideBatchNorm(nn.Module):
    """A batch norm with running statistics, in float32."""

    def __init__(self, norm: nn.BatchNorm1d) -> None:
        super().__init__()
        self.factor, self.offset = affine(norm)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, dim) to the same."""
        return torch.addcmul(self.offset, x.float(), self.factor)


class CudaFeedForward(nn.Module):
    """`FeedForward` without dropout, in pieces of rows."""

    def __init__(self, block: FeedForward, dtype: torch.dtype) -> None:
        super().__init__()
        self.inner, self.outer = (CudaLinear(part.weight, part.bias, dtype) for part in (block.inner, block.outer))
        self.activation = activation(block.activation)

    def forward(self, frames: Tensor) -> Tensor:
        """(total, dim) to (total, dim)."""
        blocks = [self.outer(self.activation(self.inner(rows))) for rows in frames.split(ROWS)]
        return blocks[0] if len(blocks) == 1 else torch.cat(blocks)


def cuda_attention(attention: SelfAttention, dtype: torch.dtype) -> FusedSelfAttention:
    """Build self-attention with products in a dtype."""
    make_linear = partial(CudaLinear, dtype=dtype)
    return FusedSelfAttention(attention, make_linear, make_linear, alignment=ALIGNMENT)


class CudaAttentionAdapter(nn.Module):
    """`AttentionAdapter`; its norm in float32."""

    def __init__(self, adapter: AttentionAdapter, dtype: torch.dtype) -> None:
        super().__init__()
        self.norm = WideNorm(adapter.norm)
        self.inner, self.outer = (CudaLinear(part.weight, part.bias, dtype) for part in (adapter.inner, adapter.outer))

    def forward(self, frames: Tensor) -> Tensor:
        """(total, dim) to (total, dim)."""
        return self.outer(F.relu(self.inner(self.norm(frames))))


class CudaTransformerLayer(nn.Module):
    """`TransformerLayer` without dropout; each sum and the following norm are one kernel."""

    def __init__(self, layer: TransformerLayer, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype, self.pre_norm = dtype, layer.pre_norm
        self.attention = cuda_attention(layer.attention, dtype)
        self.feed_forward = CudaFeedForward(layer.feed_forward, dtype)
        self.attention_norm, self.feed_forward_norm = WideNorm(layer.attention_norm), WideNorm(layer.feed_forward_norm)
        self.adapter = None if layer.adapter is None else CudaAttentionAdapter(layer.adapter, dtype)

    def forward(self, frames: Tensor, clips: list[int] | Tensor, table: Tensor | None) -> Tensor:
        """(total, dim) to the same, float32; arguments as in `FusedSelfAttention`."""
        before, between, dtype = self.attention_norm, self.feed_forward_norm, self.dtype
        if self.pre_norm:
            narrow, _ = norm_rows(frames, before.weight, before.bias, before.eps, dtype)
            mixed = self.attention(narrow, clips, table)
            narrow, total = norm_rows(frames, between.weight, between.bias, between.eps, dtype, added=mixed, kept="sum")
            assert total is not None
            total = total + self.feed_forward(narrow)
            return total if self.adapter is None else total + self.adapter(total)
        mixed = self.attention(frames, clips, table)
        narrow, wide = norm_rows(frames, before.weight, before.bias, before.eps, dtype, added=mixed, kept="norm")
        assert wide is not None  # kept above
        made = self.feed_forward(narrow)
        _, wide = norm_rows(wide, between.weight, between.bias, between.eps, dtype, added=made, kept="norm")
        assert wide is not None
        return wide


class CudaClipConv(nn.Module):
    """`ClipConv`, or `WeightNormConv` with folded weight norm, computed in a given dtype."""

    def __init__(self, convolution: ClipConv | WeightNormConv, dtype: torch.dtype) -> None:
        super().__init__()
        self.groups = convolution.groups
        self.weight, self.bias = convolution.weight.detach().to(dtype), convolution.bias.detach().to(dtype)

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim)."""
        half = frames.with_values(frames.values.to(self.weight.dtype))
        return convolve_clips(half, self.weight, self.bias, self.groups)


class CudaConvPositions(CudaClipConv):
    """`ConvPositions`."""

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim), to be added to the frames."""
        return F.gelu(super().forward(frames))


class CudaBatchNormPositions(CudaConvPositions):
    """`BatchNormPositions` with the batch norm as a factor and an offset for each channel."""

    def __init__(self, positions: BatchNormPositions, dtype: torch.dtype) -> None:
        super().__init__(positions, dtype)
        self.factor, self.offset = affine(positions.norm)

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim), to be added to the frames."""
        normed = torch.addcmul(self.offset, frames.values.float(), self.factor)
        return super().forward(frames.with_values(normed))


class CudaStackedPositions(nn.Module):
    """`StackedPositions`; the norms in float32."""

    def __init__(self, positions: StackedPositions, dtype: torch.dtype) -> None:
        super().__init__()
        self.layers = nn.ModuleList(CudaClipConv(layer, dtype) for layer in positions.convolutions)

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim), to be added to the frames."""
        x = frames.values
        for layer in self.layers:
            x = plain_norm_gelu(layer(frames.with_values(x)).float())
        return x


class Widened(nn.Module):
    """A module whose output is converted to float32, for the residual sum."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x).float()


def cuda_projection(block: FeatureProjection, dtype: torch.dtype) -> FeatureProjection:
    """Replace the parts of a feature projection with those for a GPU, and return it."""
    if not isinstance(block.norm, nn.Identity):
        block.norm = WideNorm(block.norm)  # type: ignore[assignment]
    assert isinstance(block.linear, nn.Linear)  # a block without it is not whole
    block.linear = Widened(CudaLinear(block.linear.weight, block.linear.bias, dtype))  # type: ignore[assignment]
    return block
