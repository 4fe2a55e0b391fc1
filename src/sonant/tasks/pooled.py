"""Base class of heads with one output for a recording, which pool frames."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from sonant.errors import UnknownName
from sonant.layers.packed import Packed, require_steps
from sonant.tasks.attentive_pooling import AttentivePooling
from sonant.tasks.layer_mix import LayerMix

Pooling = Literal["mean", "sum", "max"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)


class PooledHead(nn.Module):
    """A head that pools the frames of each clip.

    Args:
        mix: weighted sum of states.
        pooling: of the projected frames.
        attention: weights of the frames, in place of the pooling.
    """

    def __init__(self, mix: LayerMix, pooling: Pooling = "mean", *, attention: AttentivePooling | None = None) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise UnknownName("pooling of frames", pooling, POOLINGS)
        self.mix = mix
        self.pooling = pooling
        self.attention = attention

    def project(self, states: Packed) -> Packed:
        """Compute the frames to pool (total_frames, width) from states (total_frames, states, dim)."""
        raise NotImplementedError

    def read(self, pooled: Tensor) -> Tensor:
        """Compute outputs (batch, outputs), before any softmax or sigmoid, from pooled frames (batch, width)."""
        raise NotImplementedError

    def forward(self, states: Packed) -> Tensor:
        """Compute outputs (batch, outputs) of states (total_frames, states, dim). Raises TooShortAudio."""
        require_steps(states.sizes, 1, "a head that pools them")
        return self.read(torch.stack([self._pooled(clip) for clip in self.project(states)]))

    def _pooled(self, frames: Tensor) -> Tensor:
        """Pool frames (frames, width) to (width,)."""
        if self.attention is not None:
            return self.attention(frames).softmax(0) @ frames
        match self.pooling:
            case "mean":
                return frames.mean(0)
            case "sum":
                return frames.sum(0)
            case "max":
                return frames.amax(0)
