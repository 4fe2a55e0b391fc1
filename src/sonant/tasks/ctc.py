"""The head of connectionist temporal classification (CTC)."""

from collections.abc import Mapping
from typing import Self

from torch import Tensor, nn

from sonant.layers.packed import Packed
from sonant.tasks.layer_mix import LayerMix
from sonant.tasks.linear import linear_of, tensors_of


class CTCHead(nn.Module):
    """One linear layer over the last state.

    Args:
        linear: dim to tokens.

    Source: transformers `Wav2Vec2ForCTC`, `lm_head`.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.mix = LayerMix()
        self.linear = linear

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Make the head from `weight` (tokens, dim) and `bias` (tokens,)."""
        return cls(linear_of(tensors))

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that `from_tensors` takes."""
        return tensors_of(self.linear)

    def forward(self, states: Packed) -> Packed:
        """Compute logits (total_frames, tokens) of states (total_frames, 1, dim)."""
        frames = self.mix(states)
        return frames.with_values(self.linear(frames.values))
