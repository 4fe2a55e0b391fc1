"""Position biases: terms that attention adds to its logits, in the form in which kernels read them."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class RelativeBias:
    """Gated relative position bias: `logit[h, i, j] += gate[i, h] * table[h, j - i + reach - 1]`.

    Attributes:
        table: (heads, 2 * reach - 1), for distances -(reach - 1) to reach - 1; shared by all layers.
        gate: (total, heads), from the layer's own input.
    """

    table: Tensor
    gate: Tensor


@dataclass(frozen=True, eq=False)
class RelativeKeyBias:
    """Relative key bias: `logit[h, i, j] += scores[i, h, clamp(j - i, -left, right) + left]`.

    Attributes:
        scores: (total, heads, left + 1 + right), products of each query with the key of each distance.
        left: largest distance back that has a key of its own.
    """

    scores: Tensor
    left: int


@dataclass(frozen=True, eq=False)
class RelativeProductBias:
    """Transformer-XL position bias: `logit[h, i, j] += query[i, h] @ keys[j - i + reach - 1, h]`.

    Attributes:
        query: (total, heads, head_dim), scaled by `head_dim**-0.5` like the queries of frames.
        keys: (2 * reach - 1, heads, head_dim), for distances -(reach - 1) to reach - 1.
    """

    query: Tensor
    keys: Tensor
