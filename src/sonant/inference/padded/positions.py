"""Positional convolutions and biases on padded speech."""

import torch.nn.functional as F
from torch import Tensor, nn

from sonant.inference.padded.attention import distance_numbers
from sonant.inference.padded.clips import Padded
from sonant.layers.clip_convolution import ClipConv
from sonant.layers.positions import (
    BatchNormPositions,
    ConvPositions,
    RelativePositions,
    StackedPositions,
    affine,
    plain_norm_gelu,
)


class PaddedConvPositions(nn.Module):
    """`ConvPositions`, its weight computed once."""

    weight: Tensor

    def __init__(self, positions: ConvPositions | ClipConv) -> None:
        super().__init__()
        self.groups, self.kernel, self.bias = positions.groups, positions.kernel, positions.bias
        self.register_buffer("weight", positions.weight.detach())

    def forward(self, frames: Padded) -> Tensor:
        """(batch, time, dim) to the same, to be added to the frames."""
        return F.gelu(self.convolved(frames))

    def convolved(self, frames: Padded) -> Tensor:
        """Compute the convolution."""
        stream = F.pad(frames.emptied().transpose(1, 2), (self.kernel // 2, self.kernel - 1 - self.kernel // 2))
        return F.conv1d(stream, self.weight, self.bias, groups=self.groups).transpose(1, 2)


class PaddedBatchNormPositions(PaddedConvPositions):
    """`BatchNormPositions` in evaluation mode."""

    factor: Tensor
    offset: Tensor

    def __init__(self, positions: BatchNormPositions) -> None:
        super().__init__(positions)
        for name, tensor in zip(("factor", "offset"), affine(positions.norm), strict=True):
            self.register_buffer(name, tensor)

    def forward(self, frames: Padded) -> Tensor:
        """(batch, time, dim) to the same, to be added to the frames."""
        return super().forward(frames.with_values(frames.values * self.factor + self.offset))


class PaddedStackedPositions(nn.Module):
    """`StackedPositions`."""

    def __init__(self, positions: StackedPositions) -> None:
        super().__init__()
        self.layers = nn.ModuleList(PaddedConvPositions(layer) for layer in positions.convolutions)

    def forward(self, frames: Padded) -> Tensor:
        """(batch, time, dim) to the same, to be added to the frames."""
        x = frames.values
        for layer in self.layers:
            assert isinstance(layer, PaddedConvPositions)
            x = plain_norm_gelu(layer.convolved(frames.with_values(x)))
        return x


class PaddedRelativePositions(nn.Module):
    """`RelativePositions` for clips of any length: distances beyond the largest bucket boundary have the same bias."""

    biases: Tensor

    def __init__(self, positions: RelativePositions) -> None:
        super().__init__()
        self.reach = positions.max_distance
        self.register_buffer("biases", positions.table(self.reach + 1).detach().contiguous())

    def table(self, time: int) -> Tensor:
        """Return the bias (heads, time, time) of each query (row) and key."""
        return self.biases[:, distance_numbers(time, self.reach, self.reach)]
