"""Feature extractor optimized for inference on a CPU: convolutions as matrix products, one tile of a clip at a time.

Activations of a tile fit into the cache, and memory does not grow with the clip, except for the norm "clip" (wav2vec),
which needs the whole output of each layer.
"""

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.inference.cpu.convolution import ClipNormed, Convolution, PairedConvolution
from sonant.inference.cpu.linear import FloatPrecision
from sonant.inference.cpu.shape_buckets import filled, pieces
from sonant.inference.precision import Precision
from sonant.layers.clip_statistics import ClipStatistics, ConvStatistics, by_clip
from sonant.layers.conv_extractor import (
    ChannelNorm,
    ClipNorm,
    ConvExtractor,
    ConvLayer,
    StridedExtractor,
    frames_of,
)
from sonant.layers.kernels.activations import Activation
from sonant.layers.packed import Packed

TILE_FRAMES = 100  # measured: 50 to 200 take the same time; fewer make small products, more exceed the cache
UNIT_FRAMES = 10  # tile sizes are multiples of it (of half of it below 50), to have few sizes: see `shape_buckets`
BLOCK_SAMPLES = 1 << 16  # samples in an update of the group norm statistics
PAIRED_STEPS = 8  # steps of a layer for each frame, from which `PairedConvolution` is faster: measured


class CpuExtractor(StridedExtractor):
    """`ConvExtractor` optimized for inference, with frames in float32.

    For "bfloat16" and "int8", products are bfloat16 except in the first layer; norms are float32.
    """

    def __init__(self, extractor: ConvExtractor, *, precision: Precision = "float32") -> None:
        super().__init__()
        self.kernels, self.strides, self.stride = extractor.kernels, extractor.strides, extractor.stride
        self.norm, self.log_compression = extractor.norm, extractor.log_compression
        self.activation: Activation = extractor.activation
        layers = [cast("ConvLayer", layer) for layer in extractor.layers]
        self.channels = layers[-1].conv.out_channels
        rest: FloatPrecision = "float32" if precision == "float32" else "bfloat16"
        self.first = self._optimized(0, layers[0], "float32")
        self.rest = nn.ModuleList(self._optimized(number, layer, rest) for number, layer in enumerate(layers[1:], 1))

    def forward(self, speech: Packed, *, statistics: Sequence[ClipStatistics | None] | None = None) -> Packed:
        """Waveforms (total_samples,) to frames (total_frames, channels).

        `statistics`: for each clip those of the recording that it is a window of, or None for a whole recording.
        """
        frames = frames_of(speech, self.kernels, self.strides)
        features = torch.empty(int(frames.sum()), self.channels, dtype=torch.float32)
        of_clips = by_clip(ConvStatistics, statistics, len(speech))
        for clip, made, known in zip(speech, features.split(frames.tolist()), of_clips, strict=True):
            samples = clip.float()
            first = self.first.over(samples, known) if isinstance(self.first, GroupNormed) else self.first
            for stretch, tile in self._tiles(samples[:, None], made):
                rows = first(stretch)
                for layer in self.rest:
                    rows = layer(rows)
                tile.copy_(rows[: len(tile)])
        return Packed(features.abs_().log1p_() if self.log_compression else features, frames)

    def _tiles(self, samples: Tensor, made: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield segments of a clip (samples, 1), each with the slice of its output frames (frames, channels).

        The last segment may be padded with zeros outside the receptive field of its frames.
        """
        if self.norm == "clip":
            yield samples, made  # the whole clip: statistics include the last samples too
            return
        start = 0
        for size in pieces(len(made), TILE_FRAMES, UNIT_FRAMES if len(made) > TILE_FRAMES // 2 else UNIT_FRAMES // 2):
            seen = (size - 1) * self.stride + self.receptive_field
            begin = start * self.stride
            yield filled(samples[begin : begin + seen], seen), made[start : start + size]
            start += size

    def _optimized(self, number: int, layer: ConvLayer, precision: FloatPrecision) -> nn.Module:
        """Return an optimized layer, from rows (steps, in) to rows (fewer steps, out)."""
        conv, norm, stride = layer.conv, layer.norm, self.strides[number]
        if self.norm == "group" and isinstance(norm, ClipNorm):
            return GroupNormed(conv, norm, self.activation)
        name = self.activation if norm is None else None
        steps = self.stride // prod(self.strides[: number + 1])
        convolution: Convolution | PairedConvolution
        if precision == "float32" and (self.kernels[number], stride) == (3, 2) and steps >= PAIRED_STEPS:
            convolution = PairedConvolution(conv.weight, conv.bias, name)
        else:
            convolution = Convolution(conv.weight, conv.bias, stride, precision=precision, activation=name)
        if isinstance(norm, ChannelNorm):
            return ChannelNormed(convolution, norm, layer.activation)
        if isinstance(norm, ClipNorm):
            return ClipNormed(convolution, norm, layer.activation)
        return convolution


class GroupNormed(nn.Module):
    """First convolution, group norm and activation, which become one convolution for each clip."""

    def __init__(self, conv: nn.Conv1d, norm: ClipNorm, name: Activation) -> None:
        super().__init__()
        self.conv, self.norm, self.activation = conv, norm, name

    def over(self, samples: Tensor, known: ConvStatistics | None) -> Convolution:
        """Fold the group norm of a clip (samples,) into the convolution (see `ConvStatistics`).

        `known`: statistics, computed if None.
        """
        (kernel,), (stride,) = self.conv.kernel_size, self.conv.stride
        if known is None:
            known = ConvStatistics(kernel, stride)
            for block in samples.split(BLOCK_SAMPLES):
                known.update(block.numpy())
        factor, offset = known.affine(self.conv, self.norm.weight, self.norm.bias)
        weight = (self.conv.weight.detach().double() * factor[:, None, None]).float()
        return Convolution(weight, offset.float(), stride, precision="float32", activation=self.activation)


class ChannelNormed(nn.Module):
    """Convolution, layer norm over channels, and activation."""

    def __init__(
        self,
        convolution: Convolution | PairedConvolution,
        norm: ChannelNorm,
        activation: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__()
        self.convolution, self.activation = convolution, activation
        self.weight, self.bias, self.eps = norm.weight.detach().float(), norm.bias.detach().float(), norm.eps

    def forward(self, rows: Tensor) -> Tensor:
        """(steps, in) to (fewer steps, out)."""
        rows = self.convolution(rows)
        # with float32 weights, bfloat16 rows are normalized in float32
        return self.activation(F.layer_norm(rows, rows.shape[1:], self.weight, self.bias, self.eps))
