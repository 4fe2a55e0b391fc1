"""Distractors for contrastive losses: other rows of the same clip."""

import torch
from torch import Tensor

from sonant.errors import ConfigurationError


def draw_negatives(lengths: Tensor, count: int, *, generator: torch.Generator | None = None) -> Tensor:
    """Draw for each row of packed clips the indices of `count` other rows of its clip, uniformly with replacement.

    Args:
        lengths: int64 (clips,); rows of each clip, 0 or at least 2: the caller leaves out clips of one row, which
            have no negatives.
        count: negatives a row.

    Returns:
        int64 (total, count), on the device of `lengths`; row indices into the packed total.
    """
    if bool((lengths == 1).any()):
        raise ConfigurationError(
            f"Negatives were asked for clips of {lengths.tolist()} rows, and a clip of one row has no other to draw. "
            "Leave such clips out; they come from clips of a few frames, so raise min_seconds."
        )
    first = (lengths.cumsum(0) - lengths).repeat_interleave(lengths)[:, None]  # (total, 1)
    others = (lengths - 1).repeat_interleave(lengths)[:, None]
    own = torch.arange(len(first), device=lengths.device)[:, None] - first
    drawn = torch.randint(2**62, (len(first), count), generator=generator, device=lengths.device) % others
    return first + drawn + (drawn >= own)  # (total, count)
