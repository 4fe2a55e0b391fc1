"""Conversion of LSTM layers to and from tensors of a head."""

import re
from collections.abc import Mapping

from torch import Tensor

from sonant.layers.lstm import PackedLSTM

LSTM = "lstm."


def lstm_tensors(lstm: PackedLSTM | None) -> dict[str, Tensor]:
    """Return the tensors from which `lstm_of` makes the layers: `lstm.*`, named as PyTorch names them."""
    own = {} if lstm is None else dict(lstm.layers.named_parameters())
    return {f"{LSTM}{name}": tensor for name, tensor in own.items()}


def lstm_of(tensors: Mapping[str, Tensor]) -> PackedLSTM | None:
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
