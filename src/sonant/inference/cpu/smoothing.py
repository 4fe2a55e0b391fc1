"""Smoothing of int8 inputs (SmoothQuant, arXiv 2211.10438).

The scale of a row is set by its largest channel, and trained Transformers have a few channels many times larger than
the others. Dividing input channel k by s[k] and multiplying column k of the weight by it leaves the product unchanged:

    y = (x / s) (W * s)^T,  s[k] = c * peak[k]**0.5 / max_j |W[j, k]|**0.5

which moves a part of the range into the weights; c is such that the geometric mean of s is 1.
"""

from typing import NamedTuple

import torch
from torch import Tensor

ALPHA = 0.5  # exponent of the range that moves into the weights, as in the paper
LEAST = 1e-5  # least magnitude, so that no factor is zero


class Peaks(NamedTuple):
    """The largest magnitudes of the input channels of the two products of a block.

    Attributes:
        first: (dim,), of the input of a feed-forward block, or of queries, keys and values.
        second: (inner_dim,), of the input of the output layer.
    """

    first: Tensor
    second: Tensor


def smoothing_factors(peaks: Tensor, weight: Tensor) -> Tensor:
    """Compute s (in,): multiply the columns of `weight` (out, in), and divide the input channels, by it.

    Args:
        peaks: (in,), largest magnitude measured in each channel; raised to the median, since a channel that is small in
            the measured recordings may be larger in others.
    """
    if not peaks.numel() or not peaks.isfinite().all():
        return torch.ones_like(peaks)
    inputs = peaks.clamp(min=max(float(peaks.median()), LEAST)).log()
    weights = weight.abs().amax(0).clamp(min=LEAST).log()
    factors = ALPHA * inputs - (1 - ALPHA) * weights
    return (factors - factors.mean()).exp()
