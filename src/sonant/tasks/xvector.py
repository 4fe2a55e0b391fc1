"""The x-vector head, which computes speaker embeddings: time-delay layers, statistics pooling, projection."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed, require_steps
from sonant.tasks.layer_mix import LayerMix
from sonant.tasks.linear import linear_of, tensors_of

LAYER = "time_delay."  # begins the names of the tensors of a layer over time
KERNELS, DILATIONS = (5, 3, 3, 1, 1), (1, 2, 3, 1, 1)  # of the published head


class TimeDelayLayer(nn.Module):
    """A convolution over frames without padding, and ReLU; the output is `context` frames shorter.

    Args:
        weight: (outputs, kernel * inputs), taps concatenated.
        bias: (outputs,).
        kernel: number of taps.
        dilation: frames between taps.
    """

    def __init__(self, weight: Tensor, bias: Tensor, *, kernel: int, dilation: int) -> None:
        super().__init__()
        outputs, taps_by_inputs = weight.shape
        if taps_by_inputs % kernel:
            raise ConfigurationError(
                f"A time-delay layer has a weight of {tuple(weight.shape)}, whose second size is no multiple of its "
                f"{kernel} taps. The sizes tdnn_kernel in the configuration do not belong to these weights."
            )
        taps = weight.float().reshape(outputs, kernel, taps_by_inputs // kernel)
        self.weight = nn.Parameter(taps.transpose(1, 2).contiguous())  # (outputs, inputs, kernel)
        self.bias = nn.Parameter(bias.float())
        self.dilation = dilation

    @property
    def context(self) -> int:
        """Number of frames by which the output is shorter than the input."""
        return self.dilation * (self.weight.shape[2] - 1)

    def forward(self, frames: Tensor) -> Tensor:
        """(frames, inputs) to (frames - context, outputs)."""
        return F.conv1d(frames.T[None], self.weight, self.bias, dilation=self.dilation)[0].T.relu()


class XVectorHead(nn.Module):
    """Projection, time-delay layers, mean and standard deviation over time, projection to the speaker embedding.

    Args:
        projector: dim to the width of the first layer.
        layers: time-delay layers.
        embedding: twice the width of the last layer to the speaker embedding.
        mix: weighted sum of states.

    Source: transformers `WavLMForXVector`; Snyder et al., X-Vectors (ICASSP 2018).
    """

    def __init__(
        self, projector: nn.Linear, layers: Sequence[TimeDelayLayer], embedding: nn.Linear, mix: LayerMix
    ) -> None:
        super().__init__()
        self.mix = mix
        self.projector = projector
        self.layers = nn.ModuleList(layers)
        self.embedding = embedding

    @classmethod
    def fresh(cls, dim: int, width: int, pooled_dim: int, embedding_dim: int, mix: LayerMix) -> Self:
        """Make a head with random weights, and the kernels and dilations of the published one.

        Args:
            dim: of the states.
            width: of all layers but the last.
            pooled_dim: of the last one, whose frames are pooled.
        """
        widths = [width] * (len(KERNELS) - 1) + [pooled_dim]
        layers = []
        for inputs, outputs, kernel, dilation in zip([width, *widths], widths, KERNELS, DILATIONS, strict=False):
            linear = nn.Linear(kernel * inputs, outputs)
            layers.append(
                TimeDelayLayer(linear.weight.detach(), linear.bias.detach(), kernel=kernel, dilation=dilation)
            )
        return cls(nn.Linear(dim, width), layers, nn.Linear(2 * widths[-1], embedding_dim), mix)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> Self:
        """Make the head from `projector.*`, `time_delay.{i}.*`, `embedding.*`, and `layer_weights` if states are mixed.

        `metadata` has `tdnn_kernel` and `tdnn_dilation`. Tensors used only in training are ignored.
        """
        layers = [
            TimeDelayLayer(
                tensors[f"time_delay.{i}.weight"], tensors[f"time_delay.{i}.bias"], kernel=kernel, dilation=dilation
            )
            for i, (kernel, dilation) in enumerate(zip(metadata["tdnn_kernel"], metadata["tdnn_dilation"], strict=True))
        ]
        return cls(
            linear_of(tensors, "projector."), layers, linear_of(tensors, "embedding."), LayerMix.from_tensors(tensors)
        )

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that `from_tensors` takes."""
        layers: dict[str, Tensor] = {}
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, TimeDelayLayer)
            layers |= {
                f"time_delay.{i}.weight": layer.weight.transpose(1, 2).flatten(1),
                f"time_delay.{i}.bias": layer.bias,
            }
        linears = tensors_of(self.projector, "projector.") | tensors_of(self.embedding, "embedding.")
        return linears | layers | self.mix.tensors()

    @property
    def settings(self) -> dict[str, Any]:
        """The metadata that `from_tensors` takes."""
        layers = [layer for layer in self.layers if isinstance(layer, TimeDelayLayer)]
        return {
            "tdnn_kernel": [layer.weight.shape[2] for layer in layers],
            "tdnn_dilation": [layer.dilation for layer in layers],
        }

    @property
    def dim(self) -> int:
        """Width of the speaker embedding."""
        return self.embedding.out_features

    @property
    def context(self) -> int:
        """Number of frames by which the output of the time-delay layers is shorter than their input."""
        return sum(layer.context for layer in self.layers if isinstance(layer, TimeDelayLayer))

    @property
    def min_frames(self) -> int:
        """Fewest frames of a recording: the standard deviation needs two frames after the time-delay layers."""
        return self.context + 2

    def project(self, states: Packed) -> Packed:
        """Compute the input of the time-delay layers (total_frames, width) from states (total_frames, states, dim)."""
        frames = self.mix(states)
        return frames.with_values(self.projector(frames.values))

    def over_time(self, frames: Tensor) -> Tensor:
        """Apply the time-delay layers to one clip (frames, width): (frames - context, width of the last layer)."""
        for layer in self.layers:
            frames = layer(frames)
        return frames

    def embed(self, mean: Tensor, deviation: Tensor) -> Tensor:
        """Compute embeddings (..., dim) from mean and sample standard deviation (..., width) over frames."""
        vector: Tensor = self.embedding(torch.cat([mean, deviation], dim=-1))
        return vector

    def forward(self, states: Packed) -> Tensor:
        """Compute embeddings (batch, dim) of states (total_frames, states, dim); TooShortAudio below `min_frames`."""
        require_steps(states.sizes, self.min_frames, "the vector of a speaker")
        clips = [self.over_time(clip) for clip in self.project(states)]
        mean = torch.stack([clip.mean(0) for clip in clips])
        deviation = torch.stack([clip.std(0) for clip in clips])
        return self.embed(mean, deviation)
