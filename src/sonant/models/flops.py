"""Floating-point operations of a model, counted from its configuration.

Matrix products and convolutions, two operations a multiply-add, of one clip's forward pass; norms, activations and
softmax are left out, as `torch.utils.flop_counter` leaves them out. A backward pass costs twice the forward one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sonant.errors import UnknownName
from sonant.models.backbone import BackboneConfig
from sonant.models.waveform_transformer import WaveformTransformerConfig
from sonant.models.wavlm import WavLMConfig


@dataclass(frozen=True)
class Flops:
    """Operations of a forward pass.

    Attributes:
        extractor: from waveform to frames.
        context: what stands on the frames: projection, positions, layers.
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
    raise UnknownName("count of operations for the configuration", type(config).__name__, ["WaveformTransformerConfig"])


def _waveform_transformer(config: WaveformTransformerConfig, num_samples: int) -> Flops:
    c = config
    extractor, frames = _strided(c.conv_channels, c.conv_kernels, c.conv_strides, num_samples)
    projection = _linear(frames, c.conv_channels[-1], c.dim)
    positions = _conv(frames, c.dim // c.position_groups, c.dim, c.position_kernel)
    layer = _attention(frames, c.dim) + 2 * _linear(frames, c.dim, c.feed_forward_dim)
    if isinstance(c, WavLMConfig):  # the gate: a map from each head's share of the frame to eight numbers
        layer += _linear(frames * c.num_heads, c.dim // c.num_heads, 8)
    return Flops(extractor, projection + positions + c.num_layers * layer)


def _strided(
    channels: Sequence[int], kernels: Sequence[int], strides: Sequence[int], num_samples: int
) -> tuple[int, int]:
    """Operations of a stack of convolutions without padding over a waveform, and the frames that come out."""
    flops, steps = 0, num_samples
    for before, after, kernel, stride in zip((1, *channels), channels, kernels, strides, strict=False):
        steps = max(0, (steps - kernel) // stride + 1)
        flops += _conv(steps, before, after, kernel)
    return flops, steps


def _attention(frames: int, dim: int) -> int:
    """Four maps of the frames, then each frame against every other, twice."""
    return 4 * _linear(frames, dim, dim) + 2 * _linear(frames, dim, frames)


def _conv(steps: int, channels: int, outputs: int, kernel: int) -> int:
    """`channels`: that each output sees, those of its group."""
    return 2 * steps * channels * outputs * kernel


def _linear(rows: int, before: int, after: int) -> int:
    return 2 * rows * before * after
