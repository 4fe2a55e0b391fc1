"""Floating-point operations of a model, counted from its configuration.

Matrix products and convolutions of the forward pass of one clip, with two operations for a multiply-add; norms,
activations and softmax are not counted, as in `torch.utils.flop_counter`. A backward pass costs twice as much.
"""

from dataclasses import dataclass
from itertools import pairwise

from sonant.audio.mel import num_mel_frames, window_and_shift
from sonant.models.data2vec import Data2VecConfig
from sonant.models.discrete_bert import DiscreteBERTConfig
from sonant.models.filter_bank import FilterBankConfig
from sonant.models.sew import SEWConfig
from sonant.models.vq_wav2vec import VQWav2VecConfig
from sonant.models.w2v_bert2 import W2vBERT2Config
from sonant.models.wav2vec2_conformer import Wav2Vec2ConformerConfig
from sonant.models.waveform_config import WaveformConfig
from sonant.models.waveform_convnet import WaveformConvNetConfig
from sonant.models.waveform_transformer import WaveformTransformerConfig
from sonant.models.wavlm import WavLMConfig


@dataclass(frozen=True)
class Flops:
    """Operations of a forward pass over one clip.

    Attributes:
        extractor: from waveform to frames, or codes.
        context: everything above the extractor: projection, positions, layers.
        feed_forward: the part of `context` in feed-forward layers.
    """

    extractor: int
    context: int
    feed_forward: int = 0

    @property
    def total(self) -> int:
        return self.extractor + self.context


def waveform_transformer_flops(config: WaveformTransformerConfig, num_samples: int) -> Flops:
    """Count the operations of WavLM, HuBERT, wav2vec 2.0 and similar models, without adapter."""
    c = config
    extractor, frames = _strided(c, num_samples)
    projection = linear_flops(frames, c.conv_channels[-1], c.dim)
    depth = c.position_depth if isinstance(c, Data2VecConfig) else 1
    positions = depth * _conv(frames, c.dim // c.position_groups, c.dim, c.position_kernel)
    feed_forward = 2 * linear_flops(frames, c.dim, c.feed_forward_dim)
    layer = _attention(frames, c.dim) + feed_forward
    if isinstance(c, WavLMConfig):  # the gate: a linear map of each head to eight outputs
        layer += linear_flops(frames * c.num_heads, c.dim // c.num_heads, 8)
    if c.attention_adapter_dim is not None:
        layer += 2 * linear_flops(frames, c.dim, c.attention_adapter_dim)
    return Flops(extractor, projection + positions + c.num_layers * layer, c.num_layers * feed_forward)


def sew_flops(config: SEWConfig, num_samples: int) -> Flops:
    """Count the operations of a SEW."""
    c = config
    extractor, frames = _strided(c, num_samples)
    squeezed = max(min(frames, 1), frames // c.squeeze_factor)
    feed_forward = 2 * c.num_layers * linear_flops(squeezed, c.dim, c.feed_forward_dim)
    context = linear_flops(frames, c.conv_channels[-1], c.dim) if c.conv_channels[-1] != c.dim else 0
    context += _conv(squeezed, c.dim // c.position_groups, c.dim, c.position_kernel)
    context += c.num_layers * _attention(squeezed, c.dim) + feed_forward
    return Flops(extractor, context + linear_flops(squeezed, c.dim, c.dim * c.squeeze_factor), feed_forward)


def wav2vec2_conformer_flops(config: Wav2Vec2ConformerConfig, num_samples: int) -> Flops:
    """Count the operations of a wav2vec 2.0 Conformer, without adapter."""
    c = config
    extractor, frames = _strided(c, num_samples)
    positions = 0
    if c.positions == "relative" and frames:  # the key of every distance, and each query against them
        distances = 2 * frames - 1
        positions = linear_flops(distances, c.dim, c.dim) + linear_flops(frames, c.dim, distances)
    return _conformer(c, extractor, linear_flops(frames, c.conv_channels[-1], c.dim), frames, positions)


def w2v_bert2_flops(config: W2vBERT2Config, num_samples: int) -> Flops:
    """Count the operations of a w2v-BERT 2.0, without adapter."""
    c = config
    mel_frames = num_mel_frames(num_samples, sampling_rate=c.sampling_rate)
    frames = mel_frames // c.stack
    positions = linear_flops(frames * c.num_heads, c.dim // c.num_heads, c.left_reach + 1 + c.right_reach)
    projection = linear_flops(frames, c.num_bins * c.stack, c.dim)
    return _conformer(c, _mel(mel_frames, c), projection, frames, positions)


def filter_bank_flops(config: FilterBankConfig, num_samples: int) -> Flops:
    """Count the operations of mel features: the filters and the cepstrum."""
    frames = num_mel_frames(num_samples, sampling_rate=config.sampling_rate)
    return Flops(_mel(frames, config) + linear_flops(frames, config.num_bins, config.num_coefficients), 0)


def _mel(frames: int, config: W2vBERT2Config | FilterBankConfig) -> int:
    spectrum = (1 << (window_and_shift(config.sampling_rate)[0] - 1).bit_length()) // 2 + 1
    return linear_flops(frames, spectrum, config.num_bins)


def _conformer(
    config: Wav2Vec2ConformerConfig | W2vBERT2Config, extractor: int, projection: int, frames: int, positions: int
) -> Flops:
    """Count attention, two feed-forward blocks, and the convolution between two linear maps, in every layer.

    Args:
        positions: operations of each layer's attention that positions add.
    """
    c = config
    feed_forward = 4 * linear_flops(frames, c.dim, c.feed_forward_dim)
    convolution = 3 * linear_flops(frames, c.dim, c.dim) + _conv(frames, 1, c.dim, c.conv_kernel)
    layer = _attention(frames, c.dim) + positions + convolution + feed_forward
    return Flops(extractor, projection + c.num_layers * layer, c.num_layers * feed_forward)


def waveform_convnet_flops(config: WaveformConvNetConfig, num_samples: int) -> Flops:
    """Count the operations of a wav2vec or vq-wav2vec."""
    c = config
    extractor, frames = _strided(c, num_samples)
    if isinstance(c, VQWav2VecConfig):
        extractor += _quantizer(c, frames)
    return Flops(extractor, sum(_conv(frames, c.dim, c.dim, kernel) for kernel in c.context_kernels))


def _quantizer(config: VQWav2VecConfig, frames: int) -> int:
    """Count the operations from frames to codes, whose vectors are then looked up."""
    c = config
    if c.quantizer == "kmeans":  # a map within each group, then the distance to every code
        width = c.dim // c.num_codebooks
        return c.num_codebooks * (linear_flops(frames, width, width) + linear_flops(frames, width, c.codebook_size))
    widths = [c.dim, *[c.dim * c.projection_factor] * (c.projection_depth - 1), c.num_codebooks * c.codebook_size]
    return sum(linear_flops(frames, before, after) for before, after in pairwise(widths))


def discrete_bert_flops(config: DiscreteBERTConfig, num_samples: int) -> Flops:
    """Count the operations of a BERT on discretized speech, with its tokenizer."""
    c = config
    codes, frames = _strided(c.tokenizer, num_samples)
    codes += _quantizer(c.tokenizer, frames)
    tokens = frames + 2 if frames else 0  # with those of the clip's begin and end
    blocks = [min(c.max_positions, tokens - start) for start in range(0, tokens, c.max_positions)]
    feed_forward = 2 * c.num_layers * linear_flops(tokens, c.dim, c.feed_forward_dim)
    return Flops(codes, c.num_layers * sum(_attention(block, c.dim) for block in blocks) + feed_forward, feed_forward)


def _strided(config: WaveformConfig, num_samples: int) -> tuple[int, int]:
    """Count the operations, and the output frames, of a stack of convolutions without padding over a waveform."""
    c, flops, steps = config, 0, num_samples
    for before, after, kernel, stride in zip(
        (1, *c.conv_channels), c.conv_channels, c.conv_kernels, c.conv_strides, strict=False
    ):
        steps = max(0, (steps - kernel) // stride + 1)
        flops += _conv(steps, before, after, kernel)
    return flops, steps


def _attention(frames: int, dim: int) -> int:
    """Count the operations of four linear maps of the frames, then of each frame against every other, twice."""
    return 4 * linear_flops(frames, dim, dim) + 2 * linear_flops(frames, dim, frames)


def _conv(steps: int, channels: int, outputs: int, kernel: int) -> int:
    """Count the operations of a convolution; `channels` are the inputs of each output, those of its group."""
    return 2 * steps * channels * outputs * kernel


def linear_flops(rows: int, before: int, after: int) -> int:
    """Count the operations of a linear map from `before` to `after` numbers for each of `rows` rows."""
    return 2 * rows * before * after
