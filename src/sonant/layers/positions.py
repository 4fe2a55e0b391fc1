"""Positions of frames: positional convolutions, the gated relative position bias of WavLM, relative keys."""

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
    """Weight normalization of a grouped convolution, over all dimensions but the taps:

    weight[:, :, k] = weight_g[k] * weight_v[:, :, k] / norm(weight_v[:, :, k])
    """

    def __init__(self, dim: int, *, kernel: int = 128, groups: int = 16) -> None:
        super().__init__()
        self.kernel, self.groups = kernel, groups
        weight = torch.empty(dim, dim // groups, kernel).normal_(0, math.sqrt(4 / (kernel * dim)))
        self.weight_v = nn.Parameter(weight)
        self.weight_g = nn.Parameter(weight.norm(dim=(0, 1), keepdim=True))  # (1, 1, kernel)
        self.bias = nn.Parameter(torch.zeros(dim))

    @property
    def weight(self) -> Tensor:
        """The normalized weight: (dim, dim / groups, kernel)."""
        scale = self.weight_g / self.weight_v.norm(dim=(0, 1), keepdim=True)
        return self.weight_v * scale.to(self.weight_v.dtype)


class ConvPositions(WeightNormConv):
    """A grouped convolution and GELU, whose output is added to the frames; zero padding outside a clip.

    Source: wav2vec 2.0 (arXiv 2006.11477, section 2); fairseq `make_conv_pos`.
    """

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim), to be added to the frames."""
        return F.gelu(convolve_clips(frames, self.weight, self.bias, self.groups))


class BatchNormPositions(ClipConv):
    """A positional convolution after a batch norm, without weight norm.

    In training mode, mean and variance are taken over the frames of the whole batch, so that clips depend on each
    other; in evaluation mode they do not.

    Source: fairseq `models/wav2vec/wav2vec2.py`, `make_conv_pos` with `conv_pos_batch_norm`.
    """

    def __init__(self, dim: int, *, kernel: int = 128, groups: int = 16) -> None:
        super().__init__(dim, kernel, groups)
        self.norm = nn.BatchNorm1d(dim)

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim), to be added to the frames."""
        return F.gelu(super().forward(frames.with_values(self.norm(frames.values))))


class StackedPositions(nn.Module):
    """Consecutive positional convolutions, each followed by layer norm without weights and GELU.

    Source: data2vec (arXiv 2202.03555); fairseq `models/wav2vec/wav2vec2.py`, `TransformerEncoder` with
    `pos_conv_depth`.
    """

    def __init__(self, dim: int, *, depth: int = 5, kernel: int = 19, groups: int = 16) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ClipConv(dim, kernel, groups) for _ in range(depth))

    @property
    def convolutions(self) -> list[ClipConv]:
        """The layers, typed."""
        return [cast("ClipConv", layer) for layer in self.layers]

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim), to be added to the frames."""
        x = frames.values
        for layer in self.layers:
            x = plain_norm_gelu(layer(frames.with_values(x)))
        return x


def plain_norm_gelu(x: Tensor) -> Tensor:
    """Apply layer norm without weights, then GELU: (total, dim)."""
    return F.gelu(F.layer_norm(x, x.shape[-1:]))


def affine(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Return factor and offset of each channel, float32 (channels,), that equal a batch norm in evaluation mode."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = norm.weight.detach().double() * (norm.running_var.double() + norm.eps).rsqrt()
    return factor.float(), (norm.bias.detach().double() - norm.running_mean.double() * factor).float()


class RelativePositions(nn.Embedding):
    """The position bias of each head for each bucket of distances, shared by all layers.

    Source: WavLM (arXiv 2110.13900, section 3.2); unilm `wavlm/modules.py`, `_relative_positions_bucket`.
    """

    def __init__(self, num_heads: int, *, num_buckets: int = 320, max_distance: int = 800) -> None:
        super().__init__(num_buckets, num_heads)
        self.max_distance = max_distance
        nn.init.normal_(self.weight, std=0.02)

    def table(self, reach: int) -> Tensor:
        """Return the bias at distances -(reach - 1) to reach - 1 frames: (heads, 2 * reach - 1)."""
        distances = torch.arange(1 - reach, reach)
        buckets = relative_buckets(distances, num_buckets=self.num_embeddings, max_distance=self.max_distance)
        return self(to_device(buckets, self.weight.device)).T


def relative_buckets(distances: Tensor, *, num_buckets: int, max_distance: int) -> Tensor:
    """Return the bucket of each signed distance (key minus query): int64, same shape.

    With n = num_buckets / 2 buckets for each sign, e = n / 2 and distance d = |distance|:

        bucket = d                                                            for d < e
        bucket = min(e + floor(log(d / e) / log(max_distance / e) * (n - e)), n - 1)  for d >= e

    plus n for keys after the query. In float32 always, outside autocast: half precision misplaces distances.
    """
    half = num_buckets // 2
    exact = half // 2
    far = distances.abs()
    growth = torch.log(far.clamp(min=1).float() / exact) / math.log(max_distance / exact) * (half - exact)
    coarse = (exact + growth.long()).clamp(max=half - 1)
    return torch.where(far < exact, far, coarse) + half * (distances > 0)


class PositionGate(nn.Module):
    """The factor on the position bias for each query and head, from the input x of the layer, split into heads:

        update, reset = sigmoid(sum_4(W x + b))            two sums of four outputs each
        gate = update * (reset * scale - 1) + 2            between 1 and 2 + scale

    The paper (arXiv 2110.13900, section 3.2) gates on the projected query; the released models were trained on the
    input, and the authors keep it so (github.com/microsoft/UniSpeech/issues/25).
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
    """A key for each distance from -left to right, larger ones clamped; shared by the heads of a layer.

    Source: Shaw et al. (arXiv 1803.02155, equation 4), keys only, as in w2v-BERT 2.0.
    """

    def __init__(self, head_dim: int, *, left: int = 64, right: int = 8) -> None:
        super().__init__(left + 1 + right, head_dim)
        self.left = left
        nn.init.xavier_uniform_(self.weight)

    def bias(self, query: Tensor) -> RelativeKeyBias:
        """Compute the bias of queries (total, heads, head_dim), scaled by `head_dim**-0.5`."""
        scores = (query * query.shape[-1] ** -0.5) @ self.weight.to(query.dtype).T  # (total, heads, distances)
        return RelativeKeyBias(scores, self.left)
