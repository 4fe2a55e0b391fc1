"""Positions of frames: positional convolutions, WavLM's gated relative position bias, and relative keys."""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.layers.clip_convolution import ClipConv, convolve_clips
from sonant.layers.kernels.biases import RelativeKeyBias
from sonant.layers.kernels.device import to_device
from sonant.layers.packed import Packed


class WeightNormConv(nn.Module):
    """The weight of a wide grouped convolution, as direction `weight_v` and gain `weight_g` for each tap."""

    def __init__(self, dim: int, *, kernel: int = 128, groups: int = 16) -> None:
        super().__init__()
        self.kernel, self.groups = kernel, groups
        weight = torch.empty(dim, dim // groups, kernel).normal_(0, math.sqrt(4 / (kernel * dim)))
        self.weight_v = nn.Parameter(weight)
        self.weight_g = nn.Parameter(weight.norm(dim=(0, 1), keepdim=True))  # (1, 1, kernel)
        self.bias = nn.Parameter(torch.zeros(dim))

    @property
    def weight(self) -> Tensor:
        """The weight that the convolution uses: (dim, dim / groups, kernel)."""
        scale = self.weight_g / self.weight_v.norm(dim=(0, 1), keepdim=True)
        return self.weight_v * scale.to(self.weight_v.dtype)


class ConvPositions(WeightNormConv):
    """A wide grouped convolution whose output is added to the frames; outside a clip it sees zeros.

    Weight norm is kept as pretrained. Source: wav2vec 2.0 (arXiv 2006.11477, section 2); fairseq `make_conv_pos`.
    """

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim), to be added to the frames."""
        return F.gelu(convolve_clips(frames, self.weight, self.bias, self.groups))


class BatchNormPositions(ClipConv):
    """A positional convolution behind a batch norm, which stands in the place of weight norm.

    In evaluation mode the norm uses its running statistics, so that a clip's result is its own. In training mode it
    takes mean and variance over the frames of the whole batch, as batch norm does, and there a clip depends on the
    others; packed speech has no padding that would go into them.

    Source: fairseq `models/wav2vec/wav2vec2.py`, `make_conv_pos` with `conv_pos_batch_norm`.
    """

    def __init__(self, dim: int, *, kernel: int = 128, groups: int = 16) -> None:
        super().__init__(dim, kernel, groups)
        self.norm = nn.BatchNorm1d(dim)

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim), to be added to the frames."""
        return F.gelu(super().forward(frames.with_values(self.norm(frames.values))))


class StackedPositions(nn.Module):
    """Positional convolutions one behind another, each with a layer norm without weights, and GELU.

    Source: data2vec (arXiv 2202.03555); fairseq `models/wav2vec/wav2vec2.py`, `TransformerEncoder` with
    `pos_conv_depth`.
    """

    def __init__(self, dim: int, *, depth: int = 5, kernel: int = 19, groups: int = 16) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ClipConv(dim, kernel, groups) for _ in range(depth))

    @property
    def convolutions(self) -> list[ClipConv]:
        """The layers by their type."""
        return [cast("ClipConv", layer) for layer in self.layers]

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim), to be added to the frames."""
        x = frames.values
        for layer in self.layers:
            x = plain_norm_gelu(layer(frames.with_values(x)))
        return x


def plain_norm_gelu(x: Tensor) -> Tensor:
    """Layer norm without weights, then GELU: (total, dim) to the same."""
    return F.gelu(F.layer_norm(x, x.shape[-1:]))


def affine(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """A batch norm in evaluation mode as factor and offset of each channel, float32 (channels,)."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = norm.weight.detach().double() * (norm.running_var.double() + norm.eps).rsqrt()
    return factor.float(), (norm.bias.detach().double() - norm.running_mean.double() * factor).float()


class RelativePositions(nn.Embedding):
    """The bias of each bucket of distances, for each head: one table, shared by all layers.

    Source: WavLM (arXiv 2110.13900, section 3.2); unilm `wavlm/modules.py`, `_relative_positions_bucket`.
    """

    def __init__(self, num_heads: int, *, num_buckets: int = 320, max_distance: int = 800) -> None:
        super().__init__(num_buckets, num_heads)
        self.max_distance = max_distance
        nn.init.normal_(self.weight, std=0.02)

    def table(self, reach: int) -> Tensor:
        """(heads, 2 * reach - 1): the bias at distances -(reach - 1) to reach - 1 frames."""
        distances = torch.arange(1 - reach, reach)
        buckets = relative_buckets(distances, num_buckets=self.num_embeddings, max_distance=self.max_distance)
        return self(to_device(buckets, self.weight.device)).T


def relative_buckets(distances: Tensor, *, num_buckets: int, max_distance: int) -> Tensor:
    """The bucket of each signed distance (key minus query): int64, same shape.

    One half of the buckets is for keys ahead. The near half of each has a bucket a frame, the rest grow
    logarithmically up to `max_distance`. Always float32, outside autocast: half precision misplaces distances.
    """
    half = num_buckets // 2
    exact = half // 2
    far = distances.abs()
    growth = torch.log(far.clamp(min=1).float() / exact) / math.log(max_distance / exact) * (half - exact)
    coarse = (exact + growth.long()).clamp(max=half - 1)
    return torch.where(far < exact, far, coarse) + half * (distances > 0)


class PositionGate(nn.Module):
    """The factor of each query and head on the position bias: between 1 and 3 at initialization.

    It reads the layer's un-projected input, cut into heads. The paper gates on the projected query; the released
    models were trained on the input, and the authors say to keep it so (github.com/microsoft/UniSpeech/issues/25).
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.linear = nn.Linear(dim // num_heads, 8)
        self.scale = nn.Parameter(torch.ones(num_heads))

    def forward(self, frames: Tensor) -> Tensor:
        """(total, dim) to (total, heads)."""
        heads = frames.unflatten(-1, (self.num_heads, -1))  # (total, heads, head_dim)
        update, reset = self.linear(heads).float().unflatten(-1, (2, 4)).sum(-1).sigmoid().unbind(-1)
        return update * (reset * self.scale - 1) + 2


class RelativeKeys(nn.Embedding):
    """A key for each distance, from `left` frames back to `right` ahead and beyond; shared by the heads of a layer.

    Source: Shaw et al. (arXiv 1803.02155, equation 4), keys alone, as w2v-BERT 2.0 was trained.
    """

    def __init__(self, head_dim: int, *, left: int = 64, right: int = 8) -> None:
        super().__init__(left + 1 + right, head_dim)
        self.left = left
        nn.init.xavier_uniform_(self.weight)

    def bias(self, query: Tensor) -> RelativeKeyBias:
        """Compute the bias of queries (total, heads, head_dim), scaled as their product with the keys is."""
        scores = (query * query.shape[-1] ** -0.5) @ self.weight.to(query.dtype).T  # (total, heads, distances)
        return RelativeKeyBias(scores, self.left)
