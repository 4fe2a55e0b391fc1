"""The shape that wav2vec and vq-wav2vec share: convolutions over the waveform, then causal ones over its frames."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sonant.errors import ConfigurationError
from sonant.layers.causal_context import CausalContext
from sonant.layers.conv_extractor import ConvExtractor
from sonant.layers.kernels.activations import Activation
from sonant.layers.packed import Packed
from sonant.models.backbone import Backbone, Encoded
from sonant.models.normalization import ORIGINAL_EPSILON, RecordingStatistics
from sonant.models.waveform_config import WaveformConfig


@dataclass(frozen=True, kw_only=True)
class WaveformConvNetConfig(WaveformConfig):
    """Sizes and rates; the defaults are those of the wav2vec paper's base model. In brackets: fairseq's name."""

    conv_channels: tuple[int, ...] = (512,) * 5  # conv_feature_layers
    conv_kernels: tuple[int, ...] = (10, 8, 4, 4, 4)
    conv_strides: tuple[int, ...] = (5, 4, 2, 2, 2)
    log_compression: bool = True
    context_kernels: tuple[int, ...] = (3,) * 9  # conv_aggregator_layers; as wide as the last convolution
    skip_connections: bool = False  # skip_connections_agg
    zero_padding: bool = False  # agg_zero_pad; False repeats a clip's first frame
    activation: Activation = "relu"
    dropout: float = 0.0
    normalize: bool = False  # whether waveforms come with zero mean and unit variance
    normalize_epsilon: float = ORIGINAL_EPSILON  # added to the variance
    sampling_rate: int = 16_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.context_kernels:
            raise ConfigurationError("context_kernels names no layer; give a kernel for each layer of the context.")

    @property
    def dim(self) -> int:
        """Width of the frames and of every layer of the context."""
        return self.conv_channels[-1]

    @property
    def num_layers(self) -> int:
        """Layers of the context network."""
        return len(self.context_kernels)


class WaveformConvNet(Backbone):
    """Convolutional extractor, then the causal context network.

    Hidden state 0 is the input of the context, i the output of its layer i; `last` is the output of the last layer.

    Every layer, of the extractor too, normalizes over all channels and frames of a clip. Exact statistics of a
    recording that is encoded in windows would take a pass for each layer, so the norms of a window run over the window
    alone: long recordings come out close to, and not the same as, what one pass over them would give.
    """

    config: WaveformConvNetConfig
    extractor: ConvExtractor

    def __init__(self, config: WaveformConvNetConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        self.extractor = ConvExtractor(
            c.conv_channels,
            c.conv_kernels,
            c.conv_strides,
            norm="clip",
            activation=c.activation,
            log_compression=c.log_compression,
        )
        self.context = CausalContext(
            c.dim,
            c.context_kernels,
            skip_connections=c.skip_connections,
            zero_padding=c.zero_padding,
            dropout=c.dropout,
            activation=c.activation,
        )

    @property
    def num_layers(self) -> int:
        """Layers that the context network has now, whatever the configuration says: some may have been taken out."""
        return len(self.context.layers)

    def forward(
        self,
        speech: Packed,
        *,
        layers: Collection[int | str] | None = None,
        statistics: Sequence[RecordingStatistics | None] | None = None,
    ) -> Encoded:
        """Encode waveforms (total_samples,); the arguments are those of `Backbone`."""
        return self.encode(self.latents(self.features(speech, statistics=statistics)), layers=layers)

    def latents(self, features: Packed) -> Packed:
        """Return the input of the context network for the extractor's frames (total_frames, dim), in the same shape."""
        return features

    def encode(self, latents: Packed, *, layers: Collection[int | str] | None = None) -> Encoded:
        """Encode the input of the context network, (total_frames, dim)."""
        keep, last = self.wanted(layers)
        states, output = self.context(latents, keep, last=last)
        return Encoded(states, output, latents.lengths, self.frame_rate)
