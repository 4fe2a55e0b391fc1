"""Distractors for contrastive losses: other rows of the same clip."""

import torch
from torch import Tensor

from sonant.errors import ConfigurationError
from sonant.layers.kernels.device import to_device


def draw_negatives(
    lengths: Tensor, count: int, *, generator: torch.Generator | None = None, device: torch.device | str = "cpu"
) -> Tensor:
    """Draw for each row of packed clips `count` other rows of its clip, uniformly with replacement.

    Args:
        lengths: int64 (clips,) on the CPU; rows of each clip, not 1.
        generator: of the random numbers, on the device.

    Returns:
        int64 (total, count), on the device; row indices into the packed total.
    """
    if bool((lengths == 1).any()):
        raise ConfigurationError(
            f"Negatives were asked for clips of {lengths.tolist()} rows, and a clip of one row has no other to draw. "
            "Leave such clips out; they come from clips of a few frames, so raise min_seconds."
        )
    device = torch.device(device)
    starts = (lengths.cumsum(0) - lengths).repeat_interleave(lengths)
    first = to_device(starts, device)[:, None]  # (total, 1)
    others = to_device((lengths - 1).repeat_interleave(lengths), device)[:, None]
    own = to_device(torch.arange(len(starts)) - starts, device)[:, None]
    drawn = torch.randint(2**62, (len(starts), count), generator=generator, device=device) % others
    return first + drawn + (drawn >= own)  # (total, count)
