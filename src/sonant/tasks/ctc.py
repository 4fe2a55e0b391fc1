"""The head of connectionist temporal classification (CTC)."""

from collections.abc import Mapping
from typing import Self

from torch import Tensor, nn

from sonant.layers.packed import Packed
from sonant.tasks.layer_mix import LayerMix
from sonant.tasks.linear import linear_of, tensors_of


class CTCHead(nn.Module):
    """One linear layer over the last state, or over a weighted sum of states.

    Args:
        linear: dim to tokens.
        mix: weighted sum of states.

    Source: transformers `Wav2Vec2ForCTC`, `lm_head`, which reads the last state; SUPERB (arXiv 2105.01051), the sum.
    """

    def __init__(self, linear: nn.Linear, mix: LayerMix | None = None) -> None:
        super().__init__()
        self.mix = LayerMix() if mix is None else mix
        self.linear = linear

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Make the head from `weight` (tokens, dim), `bias` (tokens,), and, if there are, `layer_weights` (states,)."""
        return cls(linear_of(tensors), LayerMix.from_tensors(tensors))

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that `from_tensors` takes."""
        return tensors_of(self.linear) | self.mix.tensors()

    def forward(self, states: Packed) -> Packed:
        """Compute logits (total_frames, tokens) of states (total_frames, states, dim)."""
        frames = self.mix(states)
        return frames.with_values(self.linear(frames.values))
