"""Position biases: terms that attention adds to its logits, in the form in which kernels read them."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class RelativeBias:
    """A term of the attention logits of query i and key j: `gate[i, h] * table[h, j - i + reach - 1]`.

    Attributes:
        table: (heads, 2 * reach - 1), for distances -(reach - 1) to reach - 1; shared by all layers.
        gate: (total, heads), from the layer's own input.
    """

    table: Tensor
    gate: Tensor


@dataclass(frozen=True, eq=False)
class RelativeKeyBias:
    """A term of the attention logits of query i and key j: `scores[i, h, clamp(j - i, -left, right) + left]`.

    Attributes:
        scores: (total, heads, left + 1 + right), each query against the key of each distance.
        left: how many frames back are told apart.
    """

    scores: Tensor
    left: int


@dataclass(frozen=True, eq=False)
class RelativeProductBias:
    """A term of the attention logits of query i and key j: `query[i, h] @ keys[j - i + reach - 1, h]`.

    Attributes:
        query: (total, heads, head_dim), scaled as the product with the keys of frames is.
        keys: (2 * reach - 1, heads, head_dim), for distances -(reach - 1) to reach - 1.
    """

    query: Tensor
    keys: Tensor
