"""A factor on the gradient alone: how fast a part of a model learns beside the rest."""

from torch import Tensor


def scale_gradient(values: Tensor, factor: float) -> Tensor:
    """The same values; their gradient times a factor, and none at all for 0 (fairseq's `feature_grad_mult`)."""
    if factor == 0:
        return values.detach()
    return values if factor == 1 else values * factor + values.detach() * (1 - factor)
