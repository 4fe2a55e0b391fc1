"""Backbones with masking of frames, for masked prediction and masked contrast."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from sonant.errors import ConfigurationError
from sonant.layers.conv_adapter import ConvAdapter
from sonant.layers.packed import Packed
from sonant.layers.scale_gradient import scale_gradient
from sonant.models.backbone import Backbone, BackboneConfig, Encoded
from sonant.models.normalization import RecordingStatistics


class FeatureProjection(nn.Module):
    """Layer norm over the channels of the extractor, linear map to the width of the encoder, dropout.

    Args:
        norm: False: no layer norm, as in DistilHuBERT.
        linear: False: no linear map, as in SEW where both widths are equal.
    """

    def __init__(
        self,
        channels: int,
        dim: int,
        *,
        norm: bool = True,
        linear: bool = True,
        dropout: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.norm, self.linear, self.dropout = (
            nn.LayerNorm(channels, eps=eps) if norm else nn.Identity(),
            nn.Linear(channels, dim) if linear else nn.Identity(),
            nn.Dropout(dropout),
        )

    def forward(self, normed: Tensor) -> Tensor:
        return self.dropout(self.linear(normed))


class MaskableConfig(BackboneConfig, Protocol):
    """The further properties of the configuration of a `MaskableBackbone`."""

    @property
    def input_dropout(self) -> float: ...

    @property
    def layer_norm_eps(self) -> float: ...


@dataclass(frozen=True, eq=False)
class MaskedEncoding:
    """The output of a backbone from which frames were hidden, and the frames themselves.

    Attributes:
        features: the extractor's frames (total_frames, channels).
        normed: the same behind the layer norm of the projection.
        encoded: the states, made of those and of the mask embedding in the place of hidden ones.
    """

    features: Packed
    normed: Packed
    encoded: Encoded


class MaskableBackbone(Backbone):
    """Extractor, projection, masking and encoder, optionally followed by an adapter.

    `last` is the output of the encoder, at the rate of the hidden states; `adapted` computes the output of the adapter,
    which is shorter.

    Attributes:
        projection: from these to the width of the encoder.
        mask_embedding: (dim,), replaces masked frames.
        encoder: called with packed frames (total_frames, dim), the numbers of the states to keep and whether the output
            is wanted; gives both.
        adapter: shortens the output of the encoder, for heads; None in most models.

    Args:
        channels: those of the extractor's frames.
        norm, linear: as in `FeatureProjection`.
    """

    projection: FeatureProjection
    mask_embedding: nn.Parameter
    encoder: nn.Module
    adapter: ConvAdapter | None

    def __init__(
        self, config: MaskableConfig, extractor: nn.Module, channels: int, *, norm: bool = True, linear: bool = True
    ) -> None:
        super().__init__()
        self.config = config
        self.extractor = extractor
        self.projection = FeatureProjection(
            channels, config.dim, norm=norm, linear=linear, dropout=config.input_dropout, eps=config.layer_norm_eps
        )
        self.mask_embedding = nn.Parameter(torch.rand(config.dim))
        self.adapter = None

    @property
    def num_layers(self) -> int:
        """Current number of blocks of the encoder, from which some may have been removed."""
        return len(self.encoder.layers)  # type: ignore[arg-type]

    def forward(
        self,
        speech: Packed,
        *,
        layers: Collection[int | str] | None = None,
        statistics: Sequence[RecordingStatistics | None] | None = None,
    ) -> Encoded:
        """Encode waveforms (total_samples,); the arguments are those of `Backbone`."""
        return self.encode(self.features(speech, statistics=statistics), layers=layers)

    def encode(
        self,
        features: Packed,
        *,
        mask: Tensor | None = None,
        masked_channels: Tensor | None = None,
        layers: Collection[int | str] | None = None,
    ) -> Encoded:
        """Encode frames of the extractor (total_frames, channels).

        Args:
            features: the output of `extractor`.
            mask: bool (total_frames,); frames replaced by the mask embedding after projection and dropout.
            masked_channels: bool (batch, dim); channels of each clip set to zero after that.
            layers: as in `forward`.
        """
        return self._encode_normed(self._normed(features), mask, layers, masked_channels)

    def encode_masked(
        self, speech: Packed, mask: Tensor, *, layers: Collection[int | str] | None, extractor_gradient: float = 1.0
    ) -> "MaskedEncoding":
        """Encode waveforms some of whose frames are hidden: the forward pass of masked training.

        Args:
            speech: waveforms (total_samples,), as `forward` takes them.
            mask: bool (total_frames,), the frames to hide.
            layers: as in `forward`.
            extractor_gradient: factor on the gradient that reaches the extractor.
        """
        features = self.features(speech)
        features = features.with_values(scale_gradient(features.values, extractor_gradient))
        normed = self._normed(features)
        return MaskedEncoding(features, normed, self._encode_normed(normed, mask, layers))

    def _normed(self, features: Packed) -> Packed:
        norm, values = self.projection.norm, features.values
        return features if isinstance(norm, nn.Identity) else features.with_values(norm(values.to(norm.weight.dtype)))

    def _encode_normed(
        self,
        normed: Packed,
        mask: Tensor | None,
        layers: Collection[int | str] | None,
        masked_channels: Tensor | None = None,
    ) -> Encoded:
        keep, last = self.wanted(layers)
        frames = self.projection(normed.values)  # (total_frames, dim)
        if mask is not None:
            frames = torch.where(mask[:, None], self.mask_embedding.to(frames.dtype), frames)
        if masked_channels is not None:
            frames = frames.masked_fill(masked_channels[normed.clip_of_step], 0.0)
        states, output = self.encoder(normed.with_values(frames), keep, last=last)
        return Encoded(states, output, normed.lengths, self.frame_rate)

    def adapted(self, encoded: Encoded) -> Packed:
        """Compute the output of the adapter from `last`: (fewer frames, adapter_dim)."""
        if self.adapter is None or encoded.last is None:
            raise ConfigurationError(
                "The adapter was asked for, but this model has none (adapter_layers is 0)."
                if self.adapter is None
                else "The adapter reads the last state, which was not kept: encode with layers=None or 'last' in them."
            )
        adapted: Packed = self.adapter(Packed(encoded.last, encoded.lengths))
        return adapted
