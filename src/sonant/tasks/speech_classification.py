"""Heads of classification and regression of recordings, by networks with one hidden layer over pooled frames."""

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed
from sonant.tasks.layer_mix import LayerMix
from sonant.tasks.linear import linear_of, tensors_of
from sonant.tasks.pooled import PooledHead, Pooling


class HiddenLayer(nn.Module):
    """A linear layer, tanh, and another linear layer.

    Args:
        dense: dim to hidden.
        output: hidden to outputs.
    """

    def __init__(self, dense: nn.Linear, output: nn.Linear) -> None:
        super().__init__()
        self.dense = dense
        self.output = output

    def forward(self, pooled: Tensor) -> Tensor:
        """(batch, dim) to (batch, outputs)."""
        outputs: Tensor = self.output(self.dense(pooled).tanh())
        return outputs


class SpeechClassificationHead(PooledHead):
    """One or several networks over the pooled frames of the last state.

    Args:
        networks: by name; their outputs are concatenated.
        pooling: of the frames.

    Source: `Wav2Vec2ForSpeechClassification` of m3hrdadfi/soxan, with one network called "classifier"; `EmotionModel`
    and `AgeGenderModel` of audEERING's model cards, the latter with "age" and "gender".
    """

    def __init__(self, networks: Mapping[str, HiddenLayer], pooling: Pooling) -> None:
        super().__init__(LayerMix(), pooling)
        self.networks = nn.ModuleDict({name: networks[name] for name in sorted(networks)})

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> Self:
        """Make the head from `NAME.dense.*` and `NAME.output.*` of each network; `metadata` may have `pooling_mode`."""
        names = {name.partition(".")[0] for name in tensors}
        networks = {
            name: HiddenLayer(linear_of(tensors, f"{name}.dense."), linear_of(tensors, f"{name}.output."))
            for name in names
        }
        return cls(networks, metadata.get("pooling_mode", "mean"))

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that `from_tensors` takes."""
        found: dict[str, Tensor] = {}
        for name, network in self.networks.items():
            if not isinstance(network, HiddenLayer):
                raise ConfigurationError(
                    f"The network {name!r} of the head was replaced by a {type(network).__name__}, for which no format "
                    "has a place. Put a HiddenLayer there before the model is saved."
                )
            found |= tensors_of(network.dense, f"{name}.dense.") | tensors_of(network.output, f"{name}.output.")
        return found

    def project(self, states: Packed) -> Packed:
        return self.mix(states)

    def read(self, pooled: Tensor) -> Tensor:
        return torch.cat([network(pooled) for network in self.networks.values()], dim=1)
