"""Times of a model's frames, and interpolation of frames at other times."""

from typing import NamedTuple

import torch
from torch import Tensor

from sonant.layers.packed import Packed, steps_at


class FrameGrid(NamedTuple):
    """Places of frames in a waveform: frame i sees the samples from i * stride to i * stride + receptive_field - 1."""

    stride: int
    receptive_field: int

    def interpolated(self, frames: Packed, hop: int, lengths: Tensor) -> Packed:
        """Interpolate frames (total_frames, dim) linearly at the samples 0, hop, 2 * hop ... of each clip.

        Before the center of the first frame and after that of the last, these are repeated.

        Args:
            lengths: number of such samples of each clip, int64 (batch,).

        Returns:
            The values there (sum(lengths), dim).
        """
        number = steps_at(torch.zeros_like(lengths), lengths)
        place = (number * hop - (self.receptive_field - 1) / 2) / self.stride
        last = (frames.lengths - 1).repeat_interleave(lengths)
        place = torch.minimum(place.clamp(min=0), last.to(place.dtype))
        below = place.long()
        above = torch.minimum(below + 1, last)
        start = frames.offsets[:-1].repeat_interleave(lengths)
        values, device = frames.values, frames.values.device
        share = (place - below).to(device, values.dtype)[:, None]
        left, right = (values[(start + each).to(device)] for each in (below, above))
        return Packed(left + share * (right - left), lengths)
