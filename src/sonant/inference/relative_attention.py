"""Self-attention of the Conformer for inference: one matrix product for all maps of the same frames."""

import torch
from torch import Tensor, nn

from sonant.inference.attention import MakeLinear
from sonant.layers.attention import attend
from sonant.layers.kernels.biases import RelativeProductBias
from sonant.layers.relative_attention import RelativeAttention, RotaryAttention, rotated


class FusedRelativeAttention(nn.Module):
    """`RelativeAttention` without gradients; logits are float32 in every precision.

    Args:
        attention: the module whose weights are used.
        make_linear: builds a linear layer.
    """

    def __init__(self, attention: RelativeAttention, make_linear: MakeLinear) -> None:
        super().__init__()
        self.num_heads = attention.num_heads
        self.input = _joined([attention.query, attention.key, attention.value], make_linear)
        self.position = make_linear(attention.position.weight, None)
        self.output = make_linear(attention.output.weight, attention.output.bias)
        self.content_bias = attention.content_bias.detach().float()
        self.position_bias = attention.position_bias.detach().float()

    def forward(self, frames: Tensor, lengths: list[int], table: Tensor) -> Tensor:
        """(total, dim) to (total, dim); the arguments are those of `RelativeAttention`."""
        q, k, v = (_by_heads(part, self.num_heads) for part in self.input(frames).chunk(3, 1))
        keys = _by_heads(self.position(table), self.num_heads)  # (2 * reach - 1, heads, head_dim)
        bias = RelativeProductBias((q + self.position_bias) * q.shape[-1] ** -0.5, keys)
        return self.output(attend(q + self.content_bias, k, v, lengths, bias).flatten(1))


class FusedRotaryAttention(nn.Module):
    """`RotaryAttention` without gradients; arguments as in `FusedRelativeAttention`."""

    def __init__(self, attention: RotaryAttention, make_linear: MakeLinear) -> None:
        super().__init__()
        self.num_heads = attention.num_heads
        self.turned = _joined([attention.query, attention.key], make_linear)
        self.value = make_linear(attention.value.weight, attention.value.bias)
        self.output = make_linear(attention.output.weight, attention.output.bias)

    def forward(self, frames: Tensor, lengths: list[int], table: Tensor) -> Tensor:
        """(total, dim) to (total, dim); the arguments are those of `RotaryAttention`."""
        turned = self.turned(rotated(frames, table, self.num_heads))
        q, k = (part.unflatten(1, (self.num_heads, -1)) for part in turned.chunk(2, 1))
        v = self.value(frames).unflatten(1, (self.num_heads, -1))
        return self.output(attend(q, k, v, lengths).flatten(1))


def _joined(parts: list[nn.Linear], make_linear: MakeLinear) -> nn.Module:
    """Concatenate several linear maps of the same frames to one."""
    return make_linear(torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts]))


def _by_heads(values: Tensor, num_heads: int) -> Tensor:
    """Reshape (rows, dim) to float32 (rows, heads, head_dim)."""
    return values.float().unflatten(1, (num_heads, -1))
