"""The package's blocks on padded speech, which can be traced into a graph; packed speech, which loops, cannot.

Each takes the weights of the packed block that it stands for, and gives every clip what it has alone, at all its true
frames. What lies behind a clip's last frame is never read by its frames, and means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.layers.attention import SelfAttention
from sonant.layers.causal_context import CausalContext, CausalLayer
from sonant.layers.clip_norm import ClipGroupNorm
from sonant.layers.clip_statistics import EPS
from sonant.layers.conformer import ConformerEncoder, ConformerLayer, ConvModule
from sonant.layers.conv_extractor import ClipNorm, ConvExtractor, ConvLayer
from sonant.layers.gumbel_quantizer import GumbelQuantizer
from sonant.layers.kmeans_quantizer import KMeansQuantizer
from sonant.layers.positions import RelativeKeys
from sonant.layers.transformer import TransformerEncoder, TransformerLayer

NEVER = -1e30  # a logit that no key of a clip comes near; finite, so that a clip without any frame gives no NaN


@dataclass(frozen=True, eq=False)
class Padded:
    """Clips as rows, each filled up behind its end.

    Attributes:
        values: (batch, time, channels) for frames, (batch, time) for waveforms.
        lengths: int64 (batch,), how much of each row is the clip.
    """

    values: Tensor
    lengths: Tensor

    @property
    def valid(self) -> Tensor:
        """bool (batch, time): the steps that belong to a clip."""
        return torch.arange(self.values.shape[1], device=self.lengths.device) < self.lengths[:, None]

    def with_values(self, values: Tensor) -> Padded:
        """Other values at the same steps."""
        return Padded(values, self.lengths)

    def emptied(self) -> Tensor:
        """The values of frames, (batch, time, channels), zeros behind each clip."""
        return self.values * self.valid[..., None].to(self.values.dtype)


def normalized(speech: Padded, epsilon: float) -> Padded:
    """Waveforms (batch, samples), each with zero mean and unit variance; see `models.normalize_waveform`."""
    valid, count, wide = speech.valid, speech.lengths.clamp(min=1)[:, None], speech.values.double()
    mean = torch.where(valid, wide, 0.0).sum(1, keepdim=True) / count
    centered = torch.where(valid, wide - mean, 0.0)
    variance = centered.square().sum(1, keepdim=True) / count
    return speech.with_values((centered * (variance + epsilon).rsqrt()).to(speech.values.dtype))


def clip_norm(norm: ClipNorm | ClipGroupNorm, stream: Tensor, lengths: Tensor) -> Tensor:
    """Group norm over the true steps of each clip: (batch, channels, steps) to the same."""
    valid = Padded(stream[:, 0], lengths).valid[:, None].to(stream.dtype)  # (batch, 1, steps)
    count = lengths.clamp(min=1)[:, None, None]

    def mean(values: Tensor) -> Tensor:
        """Return the mean over time and the channels of each group: (batch, channels, 1)."""
        by_group = (values.sum(2, keepdim=True) / count).unflatten(1, (norm.groups, -1))
        return by_group.mean(2, keepdim=True).expand_as(by_group).flatten(1, 2)

    centered = (stream - mean(stream * valid)) * valid
    return centered * (norm.weight[:, None] * (mean(centered.square()) + EPS).rsqrt()) + norm.bias[:, None]


def extract(extractor: ConvExtractor, speech: Padded) -> Padded:
    """Waveforms (batch, samples) to frames (batch, time, channels)."""
    stream, lengths = speech.values[:, None], speech.lengths  # (batch, 1, samples)
    for kernel, stride, layer in zip(extractor.kernels, extractor.strides, extractor.layers, strict=True):
        assert isinstance(layer, ConvLayer)
        stream = layer.conv(stream)
        lengths = ((lengths - kernel) // stride + 1).clamp(min=0)
        if isinstance(layer.norm, ClipNorm):
            stream = clip_norm(layer.norm, stream, lengths)
        elif layer.norm is not None:
            stream = layer.norm(stream)
        stream = layer.activation(stream)
    features = stream.transpose(1, 2)
    return Padded(features.abs().log1p() if extractor.log_compression else features, lengths)


def distance_numbers(time: int, left: int, right: int) -> Tensor:
    """Key less query, clamped to -left and right and counted from -left, for each pair of frames: (time, time)."""
    place = torch.arange(time)
    return (place - place[:, None]).clamp(-left, right) + left


def relative_key_bias(keys: RelativeKeys, query: Tensor) -> Tensor:
    """Return what is added to the logits: from queries (batch, heads, time, head_dim), (batch, heads, time, time)."""
    scores = keys.bias(query).scores  # (batch, heads, time, distances)
    time, distances = scores.shape[2:]
    rows = torch.arange(time)[:, None] * distances
    numbers = rows + distance_numbers(time, keys.left, distances - 1 - keys.left)
    return scores.flatten(2).index_select(2, numbers.flatten()).unflatten(2, (time, time))


def attend(attention: SelfAttention, values: Tensor, mask: Tensor, positions: Tensor | None = None) -> Tensor:
    """Self-attention within clips.

    Args:
        values: (batch, time, dim).
        mask: float (batch, 1, 1 or time, time), 0 where a query may see a key and `NEVER` elsewhere.
        positions: (heads, time, time), the position bias that the layers share.
    """
    query, key, value = (
        linear(values).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
        for linear in (attention.query, attention.key, attention.value)
    )  # (batch, heads, time, head_dim)
    if attention.relative_keys is not None:
        mask = mask + relative_key_bias(attention.relative_keys, query)
    elif attention.gate is not None and positions is not None:
        mask = mask + attention.gate(values).transpose(1, 2)[..., None] * positions
    logits = torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(2, 3)) + mask
    mixed = torch.matmul(logits.softmax(-1), value)  # spelled out: torch's own function hinders the conversion to ONNX
    return attention.output(mixed.transpose(1, 2).flatten(2))


def own_clip(frames: Padded) -> Tensor:
    """Return the mask that lets every query attend to the true frames of its clip: float (batch, 1, 1, time)."""
    return torch.where(frames.valid, 0.0, NEVER)[:, None, None]


def transformer_layer(layer: TransformerLayer, x: Tensor, mask: Tensor, positions: Tensor | None) -> Tensor:
    """(batch, time, dim) to the same."""
    if layer.pre_norm:
        x = x + attend(layer.attention, layer.attention_norm(x), mask, positions)
        x = x + layer.feed_forward(layer.feed_forward_norm(x))
        return x if layer.adapter is None else x + layer.adapter(x)
    x = layer.attention_norm(x + attend(layer.attention, x, mask, positions))
    return layer.feed_forward_norm(x + layer.feed_forward(x))


def transformer(
    encoder: TransformerEncoder, x: Tensor, mask: Tensor, positions: Tensor | None, depth: int
) -> tuple[list[Tensor], Tensor]:
    """The layers and the norms of an encoder, up to layer `depth`.

    Args:
        x: (batch, time, dim), with what says where a frame stands.
        mask, positions: see `attend`.

    Returns:
        Hidden states 0 to `depth`, each (batch, time, dim), and the output, if all layers were run.
    """
    states = [x if encoder.pre_norm else encoder.norm(x)]
    for layer in encoder.layers[:depth]:
        assert isinstance(layer, TransformerLayer)
        states.append(transformer_layer(layer, states[-1], mask, positions))
    return states, encoder.norm(states[-1]) if encoder.pre_norm else states[-1]


def conv_module(module: ConvModule, x: Tensor) -> Tensor:
    """Map (batch, time, dim) to the same; causal, so that it never depends on what lies after a clip."""
    gated = F.glu(module.inner(module.norm(x)), -1).transpose(1, 2)
    moved = module.depthwise(F.pad(gated, (module.depthwise.kernel_size[0] - 1, 0))).transpose(1, 2)
    return module.outer(F.silu(module.depthwise_norm(moved)))


def conformer_layer(layer: ConformerLayer, x: Tensor, mask: Tensor) -> Tensor:
    """(batch, time, dim) to the same."""
    x = x + 0.5 * layer.feed_forward_1(layer.feed_forward_1_norm(x))
    assert isinstance(layer.attention, SelfAttention)
    assert isinstance(layer.conv, ConvModule)
    x = x + attend(layer.attention, layer.attention_norm(x), mask)
    x = x + conv_module(layer.conv, x)
    x = x + 0.5 * layer.feed_forward_2(layer.feed_forward_2_norm(x))
    return layer.norm(x)


def conformer(encoder: ConformerEncoder, x: Tensor, mask: Tensor, depth: int) -> list[Tensor]:
    """Hidden states 0 to `depth` of frames (batch, time, dim), each of that shape."""
    states = [x]
    for layer in encoder.layers[:depth]:
        assert isinstance(layer, ConformerLayer)
        states.append(conformer_layer(layer, states[-1], mask))
    return states


def causal_layer(layer: CausalLayer, x: Tensor, lengths: Tensor) -> Tensor:
    """(batch, time, dim) to the same."""
    stream = x.transpose(1, 2)
    before = torch.zeros_like(stream[..., :1]) if layer.zero_padding else stream[..., :1]
    stream = torch.cat([before.expand(-1, -1, layer.reach), stream], 2)
    return layer.activation(clip_norm(layer.norm, layer.conv(stream), lengths)).transpose(1, 2)


def causal_context(context: CausalContext, frames: Padded, depth: int) -> list[Tensor]:
    """States 0 to `depth`, each (batch, time, dim)."""
    states = [frames.values]
    for layer in context.layers[:depth]:
        assert isinstance(layer, CausalLayer)
        x = states[-1]
        y = causal_layer(layer, x, frames.lengths)
        states.append((y + x) * 0.5**0.5 if context.skip_connections else y)
    return states


def kmeans_codes(quantizer: KMeansQuantizer, frames: Padded) -> Tensor:
    """The nearest code vector of each group: frames (batch, time, dim) to int64 (batch, time, num_codebooks)."""
    projected = clip_norm(quantizer.norm, quantizer.projection(frames.values.transpose(1, 2)), frames.lengths)
    rows = projected.transpose(1, 2).unflatten(
        2, (quantizer.num_codebooks, -1)
    )  # (batch, time, num_codebooks, dim / num_codebooks)
    codebooks = quantizer.codebook.transpose(0, 1).expand(
        quantizer.num_codebooks, -1, -1
    )  # (num_codebooks, codebook_size, dim / num_codebooks)
    products = torch.matmul(
        rows.transpose(1, 2), codebooks.transpose(1, 2)
    )  # (batch, num_codebooks, time, codebook_size)
    return (codebooks.square().sum(-1)[:, None] - 2 * products).argmin(-1).transpose(1, 2)


def quantize(quantizer: GumbelQuantizer | KMeansQuantizer, frames: Padded) -> tuple[Tensor, Tensor]:
    """Code vectors (batch, time, dim) of frames of that shape, and the codes, int64 (batch, time, num_codebooks)."""
    if isinstance(quantizer, GumbelQuantizer):
        codes = quantizer.logits(frames.values).argmax(-1)
    else:
        codes = kmeans_codes(quantizer, frames)
    batch, time, _ = frames.values.shape
    return quantizer.vectors(codes.flatten(0, 1)).unflatten(0, (batch, time)), codes
