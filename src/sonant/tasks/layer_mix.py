"""Weighted sums of hidden states."""

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor, nn

from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed

NO_WEIGHT = -1e4  # whose softmax beside 0 is 0 in float32


class LayerMix(nn.Module):
    """A sum of states, weighted by the softmax of `weights` (states,); None for a single state.

    Source: SUPERB, arXiv 2105.01051; the states are 0 to L-1 and the last one, after the final norm where there is one.
    """

    def __init__(self, weights: Tensor | None = None) -> None:
        super().__init__()
        self.weights = None if weights is None else nn.Parameter(weights)

    @classmethod
    def of_one(cls, num_states: int, number: int) -> Self:
        """Make a sum in which one state has the weight 1, and which is not trained. Raises ConfigurationError."""
        if not 0 <= number < num_states:
            raise ConfigurationError(f"State {number} was asked for; the model has states 0 to {num_states - 1}.")
        weights = torch.full((num_states,), NO_WEIGHT)
        weights[number] = 0.0
        return cls(weights).requires_grad_(requires_grad=False)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Make it from `layer_weights` (states,) of a head; without them, from a single state."""
        weights = tensors.get("layer_weights")
        return cls(None if weights is None else weights.float())

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that `from_tensors` takes."""
        return {} if self.weights is None else {"layer_weights": self.weights}

    @property
    def num_states(self) -> int:
        """The number of states."""
        return 1 if self.weights is None else len(self.weights)

    def forward(self, states: Packed) -> Packed:
        """(total_frames, states, dim) to (total_frames, dim)."""
        if states.values.ndim != 3 or states.values.shape[1] != self.num_states:
            raise ConfigurationError(
                f"States of shape {tuple(states.values.shape)} were given to a head that mixes {self.num_states}; "
                f"expected (total_frames, {self.num_states}, dim)."
            )
        if self.weights is None:
            return states.with_values(states.values[:, 0])
        return states.with_values(torch.einsum("tsd,s->td", states.values, self.weights.softmax(0)))
