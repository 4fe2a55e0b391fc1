"""vq-wav2vec (arXiv 1910.05453): a wav2vec whose frames pass through a quantizer, so that speech becomes codes.

Hidden state 0 is the quantized frames, the input of the context network; state i the output of its layer i; `last` is
the last of them. `codes` gives the numbers of the code vectors, 100 times a second, one of each codebook.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from sonant.errors import ConfigurationError
from sonant.layers.gumbel_quantizer import GumbelQuantizer, Quantized
from sonant.layers.kernels.activations import Activation
from sonant.layers.kmeans_quantizer import Clustered, KMeansQuantizer
from sonant.layers.packed import Packed
from sonant.models.normalization import RecordingStatistics
from sonant.models.waveform_convnet import WaveformConvNet, WaveformConvNetConfig


@dataclass(frozen=True, kw_only=True)
class VQWav2VecConfig(WaveformConvNetConfig):
    """Defaults: the Gumbel model as its authors' command makes it. In brackets: fairseq's name.

    The command (fairseq, `examples/wav2vec/README.md`) has no log compression; a checkpoint says itself what it has.
    """

    conv_channels: tuple[int, ...] = (512,) * 8
    conv_kernels: tuple[int, ...] = (10, 8, 4, 4, 4, 1, 1, 1)
    conv_strides: tuple[int, ...] = (5, 4, 2, 2, 2, 1, 1, 1)
    log_compression: bool = False
    context_kernels: tuple[int, ...] = tuple(range(2, 14))
    skip_connections: bool = True
    activation: Activation = "gelu"
    quantizer: Literal["gumbel", "kmeans"] = "gumbel"  # vq_type
    num_codebooks: int = 2  # vq_groups
    codebook_size: int = 320  # vq_vars
    shared_codebook: bool = True  # combine_groups
    projection_depth: int = 2  # vq_depth; of the Gumbel quantizer
    projection_factor: int = 2  # width of its inner layer over dim

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dim % self.num_codebooks:
            raise ConfigurationError(
                f"conv_channels[-1]={self.dim} cannot be divided by num_codebooks={self.num_codebooks}."
            )


GUMBEL = VQWav2VecConfig()
KMEANS = VQWav2VecConfig(quantizer="kmeans", activation="relu")  # its file names no activation, and fairseq's was ReLU

# Ours, for a CPU: `wav2vec.TINY` with a quantizer that a short run can fill.
TINY = VQWav2VecConfig(
    conv_channels=(64, 128, 256, 256, 256),
    conv_kernels=(10, 8, 4, 4, 4),
    conv_strides=(5, 4, 2, 2, 2),
    context_kernels=tuple(range(2, 10)),
    log_compression=True,
    activation="relu",
    quantizer="kmeans",
    codebook_size=64,
    shared_codebook=False,
)


class VQWav2Vec(WaveformConvNet):
    """Extractor, quantizer, context network."""

    config: VQWav2VecConfig

    def __init__(self, config: VQWav2VecConfig) -> None:
        super().__init__(config)
        c = config
        self.quantizer: GumbelQuantizer | KMeansQuantizer
        match c.quantizer:
            case "gumbel":
                self.quantizer = GumbelQuantizer(
                    c.dim,
                    c.dim,
                    num_codebooks=c.num_codebooks,
                    codebook_size=c.codebook_size,
                    shared_codebook=c.shared_codebook,
                    projection_depth=c.projection_depth,
                    projection_factor=c.projection_factor,
                    activation=c.activation,
                )
            case "kmeans":
                self.quantizer = KMeansQuantizer(
                    c.dim,
                    num_codebooks=c.num_codebooks,
                    codebook_size=c.codebook_size,
                    shared_codebook=c.shared_codebook,
                )

    def quantize(self, features: Packed, *, noise: torch.Tensor | None = None) -> Quantized | Clustered:
        """The extractor's frames (total_frames, dim), quantized; `noise` is for the Gumbel quantizer in training."""
        if isinstance(self.quantizer, GumbelQuantizer):
            return self.quantizer(features.values, noise=noise)
        return self.quantizer(features)

    def latents(self, features: Packed) -> Packed:
        """The code vectors of the extractor's frames, (total_frames, dim)."""
        return features.with_values(self.quantize(features).values)

    def codes(self, speech: Packed, *, statistics: Sequence[RecordingStatistics | None] | None = None) -> Packed:
        """Map waveforms (total_samples,) to the codes of their frames, int64 (total_frames, num_codebooks)."""
        features = self.features(speech, statistics=statistics)
        return features.with_values(self.quantize(features).codes)
