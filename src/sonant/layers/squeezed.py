"""The encoder of SEW: a Transformer over squeezed (averaged) frames, upsampled again."""

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
        """Convolve frames (total, dim) to (sum of lengths, dim), the first `lengths` outputs of each clip.

        Clips are zero-padded in one stream, starting at multiples of the stride.
        """
        before = self.kernel // 2
        slots = -(-(before + frames.lengths) // self.stride) * self.stride
        starts = F.pad(slots.cumsum(0), (1, 0))
        device = frames.values.device
        at = to_device(steps_at(starts[:-1] + before, frames.lengths), device)
        read = int(starts[-2] + (lengths[-1] - 1) * self.stride) + self.kernel  # after the frames that are left over
        stream = frames.values.new_zeros(max(read, int(starts[-1])), frames.values.shape[1])
        stream = stream.index_copy(0, at, frames.values)[:read]
        moved = F.conv1d(stream.T[None], self.weight, self.bias, self.stride, groups=self.groups)[0].T
        return F.gelu(moved.index_select(0, to_device(steps_at(starts[:-1] // self.stride, lengths), device)))


class SqueezedEncoder(nn.Module):
    """Means of `factor` frames plus strided positions, a Transformer over these, and a linear upsampling.

    A clip of n frames is squeezed to `n // factor`, and one of fewer than `factor` frames to one. Every state has n
    frames again: hidden state i repeats each squeezed frame for the frames it was averaged from, and the last one for
    the frames left over. The output is `upsample` of the last state, `factor` frames of each, and zeros for the frames
    left over, as the models were trained.

    Source: SEW (arXiv 2109.06870); asappresearch/sew `squeeze_wav2vec2.py`, squeeze_method "default".

    Args:
        inner: a Transformer without positions.
        factor: number of frames that are averaged.
    """

    def __init__(self, dim: int, inner: TransformerEncoder, *, factor: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.factor = factor
        self.positions = StridedPositions(dim, kernel=kernel, groups=groups, stride=factor)
        self.inner = inner
        self.upsample = nn.Linear(dim, dim * factor)

    def forward(self, frames: Packed, keep: Collection[int], *, last: bool) -> tuple[dict[int, Tensor], Tensor | None]:
        """Run the layers up to the last one needed; arguments and results as in `TransformerEncoder`."""
        short = self.squeezed(frames)
        states, output = self.inner(short, keep, last=last)
        place = steps_at(torch.zeros_like(frames.lengths), frames.lengths) // self.factor
        ends = short.offsets[1:].repeat_interleave(frames.lengths) - 1
        starts = short.offsets[:-1].repeat_interleave(frames.lengths)
        held = to_device(torch.minimum(starts + place, ends), frames.values.device)
        states = {number: state.index_select(0, held) for number, state in states.items()}
        return states, None if output is None else self._stretched(short.with_values(output), frames)

    def squeezed(self, frames: Packed) -> Packed:
        """Squeeze (total, dim): the input of the first norm of the Transformer."""
        lengths = (frames.lengths // self.factor).clamp(min=1)
        used = torch.minimum(frames.lengths, lengths * self.factor)  # frames of each clip, from its beginning
        starts = F.pad(lengths.cumsum(0), (1, 0))[:-1]
        into = starts.repeat_interleave(used) + steps_at(torch.zeros_like(used), used) // self.factor
        device, values = frames.values.device, frames.values
        rows = values.index_select(0, to_device(steps_at(frames.offsets[:-1], used), device))
        sums = values.new_zeros(int(lengths.sum()), values.shape[1]).index_add(0, to_device(into, device), rows)
        counts = used.clamp(max=self.factor).repeat_interleave(lengths)[:, None]
        means = sums / to_device(counts, device).to(sums.dtype)
        return Packed(means + self.positions(frames, lengths), lengths)

    def _stretched(self, short: Packed, frames: Packed) -> Tensor:
        """Repeat squeezed frames (fewer, dim) to the number of frames of `frames`."""
        wide = F.gelu(self.upsample(short.values)).to(frames.values.dtype).unflatten(1, (self.factor, -1)).flatten(0, 1)
        used = torch.minimum(frames.lengths, short.lengths * self.factor)
        device = wide.device
        rows = wide.index_select(0, to_device(steps_at(short.offsets[:-1] * self.factor, used), device))
        at = to_device(steps_at(frames.offsets[:-1], used), device)
        return wide.new_zeros(len(frames.values), wide.shape[1]).index_copy(0, at, rows)
