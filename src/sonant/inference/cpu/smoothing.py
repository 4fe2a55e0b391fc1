"""Factors that move the range of a linear layer's input channels into its weights (SmoothQuant, arXiv 2211.10438).

A row in steps of eight bits is as coarse as its largest channel demands, and trained Transformers have a few channels
many times as large as the others. Divided by a factor, with the weights multiplied by it, the product is the same and
the range is shared out between both.
"""

from typing import NamedTuple

import torch
from torch import Tensor

ALPHA = 0.5  # share of the range that goes into the weights, as in the paper
LEAST = 1e-5  # of a largest magnitude, so that no factor is zero


class Peaks(NamedTuple):
    """The largest magnitudes of the channels that the two products of a block are given.

    Attributes:
        first: (dim,), of a feed-forward block's input, or of that of queries, keys and values.
        second: (inner_dim,), of the input of the block's output layer.
    """

    first: Tensor
    second: Tensor


def smoothing_factors(peaks: Tensor, weight: Tensor) -> Tensor:
    """Factors (in,) by which to multiply the columns of `weight` (out, in), and to divide the input's channels.

    Args:
        peaks: (in,), the largest magnitude seen of each channel. A channel below the median counts as the median: what
            is small in the recordings seen may not be so in others.
    """
    if not peaks.numel() or not peaks.isfinite().all():
        return torch.ones_like(peaks)
    inputs = peaks.clamp(min=max(float(peaks.median()), LEAST)).log()
    weights = weight.abs().amax(0).clamp(min=LEAST).log()
    factors = ALPHA * inputs - (1 - ALPHA) * weights
    return (factors - factors.mean()).exp()
