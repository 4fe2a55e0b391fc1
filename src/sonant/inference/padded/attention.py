"""Self-attention on padded speech."""

import torch
from torch import Tensor, nn

from sonant.layers.attention import SelfAttention
from sonant.layers.positions import RelativeKeys


class PaddedSelfAttention(nn.Module):
    """`SelfAttention` within clips."""

    def __init__(self, attention: SelfAttention) -> None:
        super().__init__()
        self.plain = attention

    def forward(self, values: Tensor, mask: Tensor, positions: Tensor | None = None) -> Tensor:
        """(batch, time, dim) to the same.

        Args:
            mask: float (batch, 1, 1 or time, time), 0 where a query may attend to a key and `NEVER` elsewhere.
            positions: (heads, time, time), the position bias of all layers.
        """
        plain = self.plain
        query, key, value = (
            linear(values).unflatten(-1, (plain.num_heads, -1)).transpose(1, 2)
            for linear in (plain.query, plain.key, plain.value)
        )  # (batch, heads, time, head_dim)
        if plain.relative_keys is not None:
            mask = mask + relative_key_bias(plain.relative_keys, query)
        elif plain.gate is not None and positions is not None:
            mask = mask + plain.gate(values).transpose(1, 2)[..., None] * positions
        logits = torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(2, 3)) + mask
        mixed = torch.matmul(logits.softmax(-1), value)  # the function of torch prevents conversion to ONNX
        output: Tensor = plain.output(mixed.transpose(1, 2).flatten(2))
        return output


def distance_numbers(time: int, left: int, right: int) -> Tensor:
    """Return key minus query, clamped to -left ... right, plus left, for each pair of frames: (time, time)."""
    place = torch.arange(time)
    return (place - place[:, None]).clamp(-left, right) + left


def relative_key_bias(keys: RelativeKeys, query: Tensor) -> Tensor:
    """Compute the relative key bias (batch, heads, time, time) of queries (batch, heads, time, head_dim)."""
    scores = keys.bias(query).scores  # (batch, heads, time, distances)
    time, distances = scores.shape[2:]
    rows = torch.arange(time)[:, None] * distances
    numbers = rows + distance_numbers(time, keys.left, distances - 1 - keys.left)
    return scores.flatten(2).index_select(2, numbers.flatten()).unflatten(2, (time, time))
