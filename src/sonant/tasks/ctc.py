"""The head of connectionist temporal classification (CTC)."""

from collections.abc import Mapping
from typing import Self

from torch import Tensor, nn

from sonant.layers.lstm import PackedLSTM
from sonant.layers.packed import Packed
from sonant.tasks.layer_mix import LayerMix
from sonant.tasks.linear import linear_of, tensors_of
from sonant.tasks.recurrent import lstm_of, lstm_tensors


class CTCHead(nn.Module):
    """One linear layer over the last state, or over a weighted sum of states, or over an LSTM on it.

    Args:
        linear: dim, or width of the LSTM, to tokens.
        mix: weighted sum of states.
        lstm: over the frames of a clip; None: frames are scored by themselves.

    Source: transformers `Wav2Vec2ForCTC`, `lm_head`, which reads the last state; SUPERB (arXiv 2105.01051) for the sum
    and the LSTM.
    """

    def __init__(self, linear: nn.Linear, mix: LayerMix | None = None, lstm: PackedLSTM | None = None) -> None:
        super().__init__()
        self.mix = LayerMix() if mix is None else mix
        self.lstm = lstm
        self.linear = linear

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Make the head from `weight` (tokens, dim), `bias`, and, if there are, `layer_weights` (states,), `lstm.*`."""
        return cls(linear_of(tensors), LayerMix.from_tensors(tensors), lstm_of(tensors))

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that `from_tensors` takes."""
        return tensors_of(self.linear) | self.mix.tensors() | lstm_tensors(self.lstm)

    def forward(self, states: Packed) -> Packed:
        """Compute logits (total_frames, tokens) of states (total_frames, states, dim)."""
        frames = self.mix(states)
        if self.lstm is not None:
            frames = self.lstm(frames)
        return frames.with_values(self.linear(frames.values))
