"""Heads that score each frame: a linear layer over a weighted sum of states, or over LSTM layers on it."""

import re
from collections.abc import Mapping
from typing import ClassVar, Self

from torch import Tensor, nn

from sonant.layers.lstm import PackedLSTM
from sonant.layers.packed import Packed
from sonant.tasks.layer_mix import LayerMix
from sonant.tasks.linear import linear_of, tensors_of

LSTM = "lstm."


class FrameHead(nn.Module):
    """A linear layer over the last state, or over a weighted sum of states, or over LSTM layers on it.

    Args:
        linear: dim, or width of the LSTM, to outputs.
        mix: weighted sum of states; None: there is one state.
        lstm: over the frames of a clip; None: frames are scored by themselves.

    Attributes:
        PREFIX: of the names of the linear layer's tensors.
    """

    PREFIX: ClassVar[str]

    def __init__(self, linear: nn.Linear, mix: LayerMix | None = None, lstm: PackedLSTM | None = None) -> None:
        super().__init__()
        self.mix = LayerMix() if mix is None else mix
        self.lstm = lstm
        self.linear = linear

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Make the head from `weight` (outputs, dim) and `bias`, and, if there are, `layer_weights` and `lstm.*`."""
        return cls(linear_of(tensors, cls.PREFIX), LayerMix.from_tensors(tensors), _lstm_of(tensors))

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that `from_tensors` takes; those of the LSTM are named as by PyTorch."""
        own = {} if self.lstm is None else dict(self.lstm.layers.named_parameters())
        recurrent = {f"{LSTM}{name}": tensor for name, tensor in own.items()}
        return tensors_of(self.linear, self.PREFIX) | self.mix.tensors() | recurrent

    def forward(self, states: Packed) -> Packed:
        """Compute logits (total_frames, outputs) of states (total_frames, states, dim)."""
        frames = self.mix(states)
        if self.lstm is not None:
            frames = self.lstm(frames)
        return frames.with_values(self.linear(frames.values))


def _lstm_of(tensors: Mapping[str, Tensor]) -> PackedLSTM | None:
    """Make the layers of `lstm.*`, in float32; None if there are none."""
    own = {name.removeprefix(LSTM): tensor.float() for name, tensor in tensors.items() if name.startswith(LSTM)}
    if not own:
        return None
    lstm = PackedLSTM(
        own["weight_ih_l0"].shape[1],
        own["weight_hh_l0"].shape[1],
        num_layers=sum(re.fullmatch(r"weight_ih_l\d+", name) is not None for name in own),
        bidirectional="weight_ih_l0_reverse" in own,
    )
    lstm.layers.load_state_dict(own)
    return lstm
