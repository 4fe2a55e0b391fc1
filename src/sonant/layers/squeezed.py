"""A Transformer over squeezed frames: SEW's encoder, which attends to fewer frames than it is given and gives."""

from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.layers.kernels.device import to_device
from sonant.layers.packed import Packed, steps_at
from sonant.layers.positions import WeightNormConv
from sonant.layers.transformer import TransformerEncoder


class StridedPositions(WeightNormConv):
    """`ConvPositions` with a stride: position vectors to be added to squeezed frames."""

    def __init__(self, dim: int, *, kernel: int, groups: int, stride: int) -> None:
        super().__init__(dim, kernel=kernel, groups=groups)
        self.stride = stride

    def forward(self, frames: Packed, lengths: Tensor) -> Tensor:
        """Frames (total, dim) to (sum of lengths, dim), of each clip the first `lengths`; outside a clip lie zeros.

        Clips lie on one stream, each window at a multiple of the stride and no clip within another's reach.
        """
        before = self.kernel // 2
        slots = -(-(before + frames.lengths) // self.stride) * self.stride
        starts = F.pad(slots.cumsum(0), (1, 0))
        device = frames.values.device
        at = to_device(steps_at(starts[:-1] + before, frames.lengths), device)
        read = int(starts[-2] + (lengths[-1] - 1) * self.stride) + self.kernel  # behind lie frames that are left over
        stream = frames.values.new_zeros(max(read, int(starts[-1])), frames.values.shape[1])
        stream = stream.index_copy(0, at, frames.values)[:read]
        moved = F.conv1d(stream.T[None], self.weight, self.bias, self.stride, groups=self.groups)[0].T
        return F.gelu(moved.index_select(0, to_device(steps_at(starts[:-1] // self.stride, lengths), device)))


class SqueezedEncoder(nn.Module):
    """Means of neighboring frames and strided positions, a Transformer over these, and a linear map back.

    A clip of n frames is squeezed to `n // factor`, and one of fewer than `factor` frames to one. Every state has n
    frames again: hidden state i holds the squeezed frame for each of the frames that it was made of, and for those left
    over at the end the last one. The output is what `upsample` makes of the last state, `factor` frames of each, and
    zeros for those left over, as the models were trained.

    Source: SEW (arXiv 2109.06870); asappresearch/sew `squeeze_wav2vec2.py`, squeeze_method "default".

    Args:
        inner: has no positions of its own.
        factor: frames that become one.
    """

    def __init__(self, dim: int, inner: TransformerEncoder, *, factor: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.factor = factor
        self.positions = StridedPositions(dim, kernel=kernel, groups=groups, stride=factor)
        self.inner = inner
        self.upsample = nn.Linear(dim, dim * factor)

    def forward(self, frames: Packed, keep: Collection[int], *, last: bool) -> tuple[dict[int, Tensor], Tensor | None]:
        """Run as far as the answer needs; arguments and results are those of `TransformerEncoder`."""
        short = self.squeezed(frames)
        states, output = self.inner(short, keep, last=last)
        place = steps_at(torch.zeros_like(frames.lengths), frames.lengths) // self.factor
        ends = short.offsets[1:].repeat_interleave(frames.lengths) - 1
        starts = short.offsets[:-1].repeat_interleave(frames.lengths)
        held = to_device(torch.minimum(starts + place, ends), frames.values.device)
        states = {number: state.index_select(0, held) for number, state in states.items()}
        return states, None if output is None else self._stretched(short.with_values(output), frames)

    def squeezed(self, frames: Packed) -> Packed:
        """(total, dim) to fewer frames: the input of the Transformer's first norm."""
        lengths = (frames.lengths // self.factor).clamp(min=1)
        used = torch.minimum(frames.lengths, lengths * self.factor)  # of each clip, from its beginning on
        starts = F.pad(lengths.cumsum(0), (1, 0))[:-1]
        into = starts.repeat_interleave(used) + steps_at(torch.zeros_like(used), used) // self.factor
        device, values = frames.values.device, frames.values
        rows = values.index_select(0, to_device(steps_at(frames.offsets[:-1], used), device))
        sums = values.new_zeros(int(lengths.sum()), values.shape[1]).index_add(0, to_device(into, device), rows)
        counts = used.clamp(max=self.factor).repeat_interleave(lengths)[:, None]
        means = sums / to_device(counts, device).to(sums.dtype)
        return Packed(means + self.positions(frames, lengths), lengths)

    def _stretched(self, short: Packed, frames: Packed) -> Tensor:
        """Squeezed frames (fewer, dim) to as many as `frames` has."""
        wide = F.gelu(self.upsample(short.values)).to(frames.values.dtype).unflatten(1, (self.factor, -1)).flatten(0, 1)
        used = torch.minimum(frames.lengths, short.lengths * self.factor)
        device = wide.device
        rows = wide.index_select(0, to_device(steps_at(short.offsets[:-1] * self.factor, used), device))
        at = to_device(steps_at(frames.offsets[:-1], used), device)
        return wide.new_zeros(len(frames.values), wide.shape[1]).index_copy(0, at, rows)
