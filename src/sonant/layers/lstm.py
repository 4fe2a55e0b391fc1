"""LSTM layers over packed frames."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence, unpack_sequence

from sonant.layers.packed import Packed


class PackedLSTM(nn.Module):
    """LSTM layers, each clip from its own beginning, and in both directions from its own end.

    Args:
        dim: width of the input.
        hidden_dim: width of each direction.
        num_layers: number of layers.
        bidirectional: read each clip in both directions; the output is then twice as wide.
        dropout: rate between layers.
    """

    def __init__(
        self, dim: int, hidden_dim: int, *, num_layers: int = 1, bidirectional: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        between = dropout if num_layers > 1 else 0.0
        self.layers = nn.LSTM(dim, hidden_dim, num_layers, bidirectional=bidirectional, dropout=between)

    @property
    def dim(self) -> int:
        """The width of the output."""
        return self.layers.hidden_size * (1 + self.layers.bidirectional)

    def forward(self, frames: Packed) -> Packed:
        """(total, dim) to (total, width of the output)."""
        sequence: PackedSequence = pack_sequence(frames.unpack(), enforce_sorted=False)
        clips: list[Tensor] = unpack_sequence(self.layers(sequence)[0])
        return frames.with_values(torch.cat(clips))
