"""Convolutions over frames for inference on a CPU: positional convolutions and conformer modules."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.inference.cpu.grouped_convolution import GroupedConvolution
from sonant.inference.cpu.linear import CpuLinear, FloatPrecision
from sonant.inference.cpu.shape_buckets import filled, in_pieces, step_pieces
from sonant.layers.clip_convolution import ClipConv
from sonant.layers.conformer import CenteredConvModule, ConvModule
from sonant.layers.packed import Packed
from sonant.layers.positions import BatchNormPositions, ConvPositions, StackedPositions, affine, plain_norm_gelu


class CpuConvPositions(nn.Module):
    """`ConvPositions` with the weight norm folded into the weights."""

    def __init__(self, positions: ConvPositions | ClipConv, *, precision: FloatPrecision = "float32") -> None:
        super().__init__()
        self.before, self.after = positions.kernel // 2, positions.kernel - 1 - positions.kernel // 2
        self.convolution = GroupedConvolution(
            positions.weight, positions.bias, positions.groups, precision=precision, activation="gelu"
        )

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim), to be added to the frames; in the precision of the convolution."""
        return _each_clip(self.convolution, frames, self.before, self.after)


class CpuBatchNormPositions(CpuConvPositions):
    """`BatchNormPositions` with the batch norm as a factor and an offset for each channel."""

    def __init__(self, positions: BatchNormPositions, *, precision: FloatPrecision = "float32") -> None:
        super().__init__(positions, precision=precision)
        self.factor, self.offset = affine(positions.norm)

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim), to be added to the frames; in the precision of the convolution."""
        normed = torch.addcmul(self.offset, frames.values.float(), self.factor)
        return super().forward(frames.with_values(normed))


class CpuStackedPositions(nn.Module):
    """`StackedPositions`; the norms in float32."""

    def __init__(self, positions: StackedPositions, *, precision: FloatPrecision = "float32") -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            GroupedConvolution(layer.weight, layer.bias, layer.groups, precision=precision)
            for layer in positions.convolutions
        )

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim), to be added to the frames; float32."""
        x = frames.values
        for layer in self.layers:
            assert isinstance(layer, GroupedConvolution)
            before = layer.kernel // 2
            moved = _each_clip(layer, frames.with_values(x), before, layer.kernel - 1 - before)
            x = in_pieces(lambda rows: plain_norm_gelu(rows.float()), moved)
        return x


class CpuConvModule(nn.Module):
    """`ConvModule` without dropout.

    Args:
        precision: of the linear layers.
        depthwise: precision of the depthwise convolution.
    """

    def __init__(
        self, module: ConvModule, *, precision: FloatPrecision = "float32", depthwise: FloatPrecision = "float32"
    ) -> None:
        super().__init__()
        self.norm, self.depthwise_norm = module.norm, module.depthwise_norm
        self.inner = CpuLinear(module.inner.weight, None, precision=precision)
        self.outer = CpuLinear(module.outer.weight, None, precision=precision)
        dim = module.outer.out_features
        self.depthwise = GroupedConvolution(module.depthwise.weight, None, dim, precision=depthwise)

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim); of the dtype of `CpuLinear`."""
        gated = in_pieces(lambda rows: F.glu(self.inner(self.norm(rows))), frames.values)
        moved = _each_clip(self.depthwise, frames.with_values(gated), self.depthwise.kernel - 1, 0)
        return in_pieces(lambda rows: self.outer(F.silu(self.depthwise_norm(rows))), moved)


class CpuCenteredConvModule(nn.Module):
    """`CenteredConvModule` without dropout, its batch norm folded into the convolution.

    Arguments as in `CpuConvModule`.
    """

    def __init__(
        self,
        module: CenteredConvModule,
        *,
        precision: FloatPrecision = "float32",
        depthwise: FloatPrecision = "float32",
    ) -> None:
        super().__init__()
        self.norm = module.norm
        self.inner = CpuLinear(module.inner.weight, None, precision=precision)
        self.outer = CpuLinear(module.outer.weight, None, precision=precision)
        factor, offset = affine(module.batch_norm)
        self.depthwise = GroupedConvolution(
            module.depthwise.weight * factor[:, None, None],
            offset,
            len(factor),
            precision=depthwise,
            activation=module.activation,
        )

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim); of the dtype of `CpuLinear`."""
        gated = in_pieces(lambda rows: F.glu(self.inner(self.norm(rows))), frames.values)
        side = self.depthwise.kernel // 2
        return self.outer(_each_clip(self.depthwise, frames.with_values(gated), side, side))


def _each_clip(convolution: GroupedConvolution, frames: Packed, before: int, after: int) -> Tensor:
    """Convolve every clip, zero-padded by `before` and `after` frames, in pieces: (total, dim)."""
    made = torch.empty_like(frames.values, dtype=convolution.dtype)
    for clip, out in zip(frames, made.split(frames.sizes), strict=True):
        padded = F.pad(clip, (0, 0, before, after))
        start = 0
        for size in step_pieces(len(out)):
            tile = out[start : start + size]
            stretch = padded[start : start + before + size + after]
            tile.copy_(convolution(filled(stretch, before + size + after))[: len(tile)])
            start += size
    return made
