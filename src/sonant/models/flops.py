"""Floating-point operations of a model, counted from its configuration.

Matrix products and convolutions, two operations a multiply-add, of one clip's forward pass; norms, activations and
softmax are left out, as `torch.utils.flop_counter` leaves them out. A backward pass costs twice the forward one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sonant.audio.mel import num_mel_frames, window_and_shift
from sonant.errors import UnknownName
from sonant.models.backbone import BackboneConfig
from sonant.models.data2vec import Data2VecConfig
from sonant.models.discrete_bert import DiscreteBERTConfig
from sonant.models.sew import SEWConfig
from sonant.models.vq_wav2vec import VQWav2VecConfig
from sonant.models.w2v_bert2 import W2vBERT2Config
from sonant.models.wav2vec2_conformer import Wav2Vec2ConformerConfig
from sonant.models.waveform_convnet import WaveformConvNetConfig
from sonant.models.waveform_transformer import WaveformTransformerConfig
from sonant.models.wavlm import WavLMConfig


@dataclass(frozen=True)
class Flops:
    """Operations of a forward pass.

    Attributes:
        extractor: from waveform to frames, or codes.
        context: everything above the extractor: projection, positions, layers.
    """

    extractor: int
    context: int

    @property
    def total(self) -> int:
        return self.extractor + self.context


def forward_flops(config: BackboneConfig, num_samples: int) -> Flops:
    """Operations of one forward pass over one clip.

    Attention grows with the square of the clip, so a minute costs more than sixty clips of a second.
    """
    match config:
        case WaveformTransformerConfig():
            return _waveform_transformer(config, num_samples)
        case WaveformConvNetConfig():
            return _waveform_conv_net(config, num_samples)
        case DiscreteBERTConfig():
            return _discrete_bert(config, num_samples)
        case W2vBERT2Config():
            return _w2v_bert2(config, num_samples)
        case SEWConfig():
            return _sew(config, num_samples)
        case Wav2Vec2ConformerConfig():
            return _wav2vec2_conformer(config, num_samples)
    raise UnknownName(
        "count of operations for the configuration",
        type(config).__name__,
        [
            *("WaveformTransformerConfig", "WaveformConvNetConfig", "DiscreteBERTConfig", "W2vBERT2Config"),
            *("Wav2Vec2ConformerConfig", "SEWConfig"),
        ],
    )


def feed_forward_flops(config: BackboneConfig, num_samples: int) -> int:
    """Count the operations in feed-forward layers, which are quantized first; 0 for families without them."""
    match config:
        case WaveformTransformerConfig():
            _, frames = _strided(config.conv_channels, config.conv_kernels, config.conv_strides, num_samples)
            return 2 * config.num_layers * linear_flops(frames, config.dim, config.feed_forward_dim)
        case W2vBERT2Config():  # two in each layer
            frames = num_mel_frames(num_samples, sampling_rate=config.sampling_rate) // config.stack
            return 4 * config.num_layers * linear_flops(frames, config.dim, config.feed_forward_dim)
        case SEWConfig():
            _, frames = _strided(config.conv_channels, config.conv_kernels, config.conv_strides, num_samples)
            squeezed = _squeezed(frames, config.squeeze_factor)
            return 2 * config.num_layers * linear_flops(squeezed, config.dim, config.feed_forward_dim)
        case Wav2Vec2ConformerConfig():
            _, frames = _strided(config.conv_channels, config.conv_kernels, config.conv_strides, num_samples)
            return 4 * config.num_layers * linear_flops(frames, config.dim, config.feed_forward_dim)
    return 0


def _waveform_transformer(config: WaveformTransformerConfig, num_samples: int) -> Flops:
    c = config
    extractor, frames = _strided(c.conv_channels, c.conv_kernels, c.conv_strides, num_samples)
    projection = linear_flops(frames, c.conv_channels[-1], c.dim)
    depth = c.position_depth if isinstance(c, Data2VecConfig) else 1
    positions = depth * _conv(frames, c.dim // c.position_groups, c.dim, c.position_kernel)
    layer = _transformer_layer(frames, c.dim, c.feed_forward_dim)
    if isinstance(c, WavLMConfig):  # the gate: a map from each head's share of the frame to eight numbers
        layer += linear_flops(frames * c.num_heads, c.dim // c.num_heads, 8)
    if c.attention_adapter_dim is not None:
        layer += 2 * linear_flops(frames, c.dim, c.attention_adapter_dim)
    return Flops(extractor, projection + positions + c.num_layers * layer)


def _waveform_conv_net(config: WaveformConvNetConfig, num_samples: int) -> Flops:
    c = config
    extractor, frames = _strided(c.conv_channels, c.conv_kernels, c.conv_strides, num_samples)
    if isinstance(c, VQWav2VecConfig):
        extractor += _quantizer(c, frames)
    return Flops(extractor, sum(_conv(frames, c.dim, c.dim, kernel) for kernel in c.context_kernels))


def _quantizer(config: VQWav2VecConfig, frames: int) -> int:
    """Count the operations from frames to codes, whose vectors are then looked up."""
    c = config
    if c.quantizer == "kmeans":  # a map within each group, then the distance to every code
        width = c.dim // c.groups
        return c.groups * (linear_flops(frames, width, width) + linear_flops(frames, width, c.codes))
    widths = [c.dim, *[c.dim * c.projection_factor] * (c.projection_depth - 1), c.groups * c.codes]
    return sum(linear_flops(frames, before, after) for before, after in pairwise(widths))


def _discrete_bert(config: DiscreteBERTConfig, num_samples: int) -> Flops:
    c = config
    codes, frames = _strided(c.tokenizer.conv_channels, c.tokenizer.conv_kernels, c.tokenizer.conv_strides, num_samples)
    codes += _quantizer(c.tokenizer, frames)
    tokens = frames + 2 if frames else 0  # with those of the clip's begin and end
    blocks = [min(c.max_positions, tokens - start) for start in range(0, tokens, c.max_positions)]
    return Flops(codes, c.num_layers * sum(_transformer_layer(block, c.dim, c.feed_forward_dim) for block in blocks))


def _w2v_bert2(config: W2vBERT2Config, num_samples: int) -> Flops:
    """Count the operations of a w2v-BERT 2.0 without an adapter, which is no part of pretraining."""
    c = config
    mel_frames = num_mel_frames(num_samples, sampling_rate=c.sampling_rate)
    spectrum = (1 << (window_and_shift(c.sampling_rate)[0] - 1).bit_length()) // 2 + 1
    frames = mel_frames // c.stack
    layer = _conformer_layer(frames, c.dim, c.feed_forward_dim, c.conv_kernel)
    layer += linear_flops(frames * c.num_heads, c.dim // c.num_heads, c.left_reach + 1 + c.right_reach)
    projection = linear_flops(frames, c.num_bins * c.stack, c.dim)
    return Flops(linear_flops(mel_frames, spectrum, c.num_bins), projection + c.num_layers * layer)


def _sew(config: SEWConfig, num_samples: int) -> Flops:
    c = config
    extractor, frames = _strided(c.conv_channels, c.conv_kernels, c.conv_strides, num_samples)
    squeezed = _squeezed(frames, c.squeeze_factor)
    context = linear_flops(frames, c.conv_channels[-1], c.dim) if c.conv_channels[-1] != c.dim else 0
    context += _conv(squeezed, c.dim // c.position_groups, c.dim, c.position_kernel)
    context += c.num_layers * _transformer_layer(squeezed, c.dim, c.feed_forward_dim)
    return Flops(extractor, context + linear_flops(squeezed, c.dim, c.dim * c.squeeze_factor))


def _squeezed(frames: int, factor: int) -> int:
    return max(min(frames, 1), frames // factor)


def _wav2vec2_conformer(config: Wav2Vec2ConformerConfig, num_samples: int) -> Flops:
    c = config
    extractor, frames = _strided(c.conv_channels, c.conv_kernels, c.conv_strides, num_samples)
    projection = linear_flops(frames, c.conv_channels[-1], c.dim)
    layer = _conformer_layer(frames, c.dim, c.feed_forward_dim, c.conv_kernel)
    if c.positions == "relative" and frames:  # the key of every distance, and each query against them
        distances = 2 * frames - 1
        layer += linear_flops(distances, c.dim, c.dim) + linear_flops(frames, c.dim, distances)
    return Flops(extractor, projection + c.num_layers * layer)


def _strided(
    channels: Sequence[int], kernels: Sequence[int], strides: Sequence[int], num_samples: int
) -> tuple[int, int]:
    """Operations of a stack of convolutions without padding over a waveform, and the frames that come out."""
    flops, steps = 0, num_samples
    for before, after, kernel, stride in zip((1, *channels), channels, kernels, strides, strict=False):
        steps = max(0, (steps - kernel) // stride + 1)
        flops += _conv(steps, before, after, kernel)
    return flops, steps


def _transformer_layer(frames: int, dim: int, feed_forward_dim: int) -> int:
    return _attention(frames, dim) + 2 * linear_flops(frames, dim, feed_forward_dim)


def _conformer_layer(frames: int, dim: int, feed_forward_dim: int, kernel: int) -> int:
    """Attention without positions, two feed-forward blocks, and the convolution between two linear maps."""
    linear = 4 * linear_flops(frames, dim, feed_forward_dim) + 3 * linear_flops(frames, dim, dim)
    return _attention(frames, dim) + linear + _conv(frames, 1, dim, kernel)


def _attention(frames: int, dim: int) -> int:
    """Count the operations of four linear maps of the frames, then of each frame against every other, twice."""
    return 4 * linear_flops(frames, dim, dim) + 2 * linear_flops(frames, dim, frames)


def _conv(steps: int, channels: int, outputs: int, kernel: int) -> int:
    """Count the operations of a convolution; `channels` are the inputs of each output, those of its group."""
    return 2 * steps * channels * outputs * kernel


def linear_flops(rows: int, before: int, after: int) -> int:
    """Count the operations of a linear map from `before` to `after` numbers for each of `rows` rows."""
    return 2 * rows * before * after
