"""Base class of heads with one output for a recording, which pool frames."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from sonant.errors import TooShortAudio, UnknownName
from sonant.layers.packed import Packed
from sonant.tasks.layer_mix import LayerMix

Pooling = Literal["mean", "sum", "max"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)


class PooledHead(nn.Module):
    """A head that pools the frames of each clip.

    Args:
        mix: weighted sum of states.
        pooling: of the projected frames.
    """

    def __init__(self, mix: LayerMix, pooling: Pooling = "mean") -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise UnknownName("pooling of frames", pooling, POOLINGS)
        self.mix = mix
        self.pooling = pooling

    def project(self, states: Packed) -> Packed:
        """Compute the frames to pool (total_frames, width) from states (total_frames, states, dim)."""
        raise NotImplementedError

    def read(self, pooled: Tensor) -> Tensor:
        """Compute outputs (batch, outputs), before any softmax or sigmoid, from pooled frames (batch, width)."""
        raise NotImplementedError

    def forward(self, states: Packed) -> Tensor:
        """Compute outputs (batch, outputs) of states (total_frames, states, dim). Raises TooShortAudio."""
        if min(states.sizes) == 0:
            raise TooShortAudio(
                f"Clips of {states.sizes} frames were given; a head that pools them needs one or more. Leave out "
                "shorter clips."
            )
        return self.read(torch.stack([_pooled(clip, self.pooling) for clip in self.project(states)]))


def _pooled(frames: Tensor, pooling: Pooling) -> Tensor:
    """Pool frames (frames, width) to (width,)."""
    match pooling:
        case "mean":
            return frames.mean(0)
        case "sum":
            return frames.sum(0)
        case "max":
            return frames.amax(0)
