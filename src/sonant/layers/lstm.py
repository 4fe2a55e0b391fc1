"""LSTM layers over packed frames."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence, unpack_sequence

from sonant.layers.packed import Packed


class PackedLSTM(nn.Module):
    """LSTM layers, each clip from its own beginning, and in both directions from its own end.

    On a GPU they read a `PackedSequence` of torch. On a CPU, where that is some four times as slow, clips are padded
    behind their ends, each direction of a layer is computed by itself, and the backward one reads reversed clips.

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
        return self._padded(frames) if frames.values.device.type == "cpu" else self.by_torch(frames)

    def by_torch(self, frames: Packed) -> Packed:
        """Compute the same by a `PackedSequence`."""
        sequence: PackedSequence = pack_sequence(frames.unpack(), enforce_sorted=False)
        clips: list[Tensor] = unpack_sequence(self.layers(sequence)[0])
        return frames.with_values(torch.cat(clips))

    def _padded(self, frames: Packed) -> Packed:
        values, lengths = frames.to_padded()
        step = torch.arange(values.shape[1])
        is_clip = step < lengths[:, None]  # (batch, longest)
        mirror = torch.where(is_clip, lengths[:, None] - 1 - step, step)
        for number in range(self.layers.num_layers):
            if number:
                values = F.dropout(values, self.layers.dropout, self.training)
            read = [self._direction(values, f"l{number}")]
            if self.layers.bidirectional:
                read.append(_taken(self._direction(_taken(values, mirror), f"l{number}_reverse"), mirror))
            values = torch.cat(read, dim=-1)
        return frames.with_values(values[is_clip])

    def _direction(self, values: Tensor, name: str) -> Tensor:
        """Compute one direction of a layer from its beginning: (batch, time, dim) to (batch, time, hidden_dim)."""
        weights = [getattr(self.layers, f"{each}_{name}") for each in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        start = values.new_zeros(1, len(values), self.layers.hidden_size)
        found: Tensor = torch.lstm(values, (start, start), weights, True, 1, 0.0, self.training, False, True)[0]
        return found


def _taken(values: Tensor, steps: Tensor) -> Tensor:
    """Take steps (batch, time) of values (batch, time, dim)."""
    return values.gather(1, steps[..., None].expand_as(values))
