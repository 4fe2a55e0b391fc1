"""Targets of labeled recordings: numbers of classes, or segments that become targets of frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor


@dataclass(frozen=True)
class LabeledSegments:
    """Segments of a recording with their classes.

    Attributes:
        spans: start and end in seconds, and number of the class.
        num_classes: number of classes.
    """

    spans: Sequence[tuple[float, float, int]]
    num_classes: int

    def of_frames(self, num_frames: int, frame_rate: float) -> Tensor:
        """Return the classes of each frame, bool (frames, classes): those of the segments that its center is in."""
        found = torch.zeros(num_frames, self.num_classes, dtype=torch.bool)
        for start, end, number in self.spans:
            found[frame_at(start, frame_rate) : frame_at(end, frame_rate), number] = True
        return found


def frame_at(seconds: float, frame_rate: float) -> int:
    """Return the first frame whose center is not before a time; frame i reaches from i / rate to (i + 1) / rate."""
    return max(0, ceil(seconds * frame_rate - 0.5))


Target = Tensor | LabeledSegments


def target_of(target: Target, num_frames: int, frame_rate: float) -> Tensor:
    """Return a target as a tensor, for a recording of so many frames."""
    return target if isinstance(target, Tensor) else target.of_frames(num_frames, frame_rate)
