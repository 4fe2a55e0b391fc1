"""Heads of CPC: predictions of the frames ahead, one linear layer for each step, and their scores."""

from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class StepHeads(nn.Module):
    """A linear layer for each step ahead, with one bias for all steps.

    Attributes:
        weight: (dim in, dim out, 1, steps), the layout of fairseq's transposed convolution.
        bias: (dim out,).
    """

    def __init__(self, dim: int, steps: int) -> None:
        super().__init__()
        bound = 1 / sqrt(dim * steps)  # as torch initializes a transposed convolution of this shape
        self.weight = nn.Parameter(torch.empty(dim, dim, 1, steps).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(dim).uniform_(-bound, bound))

    def forward(self, context: Tensor) -> Tensor:
        """(total, dim) to (total, steps, dim)."""
        dim, _, _, steps = self.weight.shape
        maps = self.weight[:, :, 0].permute(2, 1, 0).flatten(0, 1)  # (steps * dim out, dim in)
        return F.linear(context, maps, self.bias.repeat(steps)).unflatten(1, (steps, dim))


def future_logits(predictions: Tensor, latents: Tensor, negatives: Tensor, *, offset: int) -> Tensor:
    """Inner products of each frame and its negatives with the predictions made `offset` + step frames before.

    Values are meaningless where that time lies before the start of the clip.

    Args:
        predictions: (total, steps, dim), indexed by the time of the context.
        latents: (total, dim).
        negatives: int64 (total, negatives), indices of frames.

    Returns:
        float32 (total, steps, 1 + negatives), indexed by the predicted frame; its own logit first.
    """
    wide = torch.promote_types(latents.dtype, torch.float32)
    total, steps, _ = predictions.shape
    aligned = torch.stack(
        [
            F.pad(predictions[: max(0, total - shift), step], (0, 0, min(shift, total), 0))
            for step, shift in enumerate(range(offset, offset + steps))
        ],
        dim=1,
    )
    own = torch.arange(total, device=negatives.device)[:, None]
    candidates = F.embedding(torch.cat([own, negatives], dim=1), latents.to(wide))  # (total, 1 + negatives, dim)
    with torch.autocast(latents.device.type, enabled=False):
        return aligned.to(wide) @ candidates.transpose(1, 2)
