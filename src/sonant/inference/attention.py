"""Self-attention for inference on a CPU: one matrix product gives queries, keys, values and WavLM's gate."""

import torch
from torch import Tensor, nn

from sonant.inference.linear import LinearPrecision, PreparedLinear
from sonant.layers.attention import Bias, SelfAttention, attend
from sonant.layers.positions import PositionGate, RelativeBias


class PreparedSelfAttention(nn.Module):
    """What `SelfAttention` computes without a gradient."""

    def __init__(self, attention: SelfAttention, precision: LinearPrecision) -> None:
        super().__init__()
        self.num_heads = attention.num_heads
        self.relative_keys = attention.relative_keys
        self.gate_scale = None if attention.gate is None else attention.gate.scale
        parts = [attention.query, attention.key, attention.value]
        self.widths = [part.out_features for part in parts]
        weights: list[Tensor] = [part.weight for part in parts]
        biases: list[Tensor] = [part.bias for part in parts]
        if attention.gate is not None:
            weight, bias = gate_columns(attention.gate)
            weights, biases = [*weights, weight], [*biases, bias]
            self.widths.append(len(weight))
        self.input = PreparedLinear(torch.cat(weights), torch.cat(biases), precision=precision)
        self.output = PreparedLinear(attention.output.weight, attention.output.bias, precision=precision)

    def forward(self, frames: Tensor, lengths: list[int], table: Tensor | None = None) -> Tensor:
        """(total, dim) to (total, dim); `table` (heads, 2 * reach - 1) is the position bias shared by the layers."""
        query, key, value, *gate = self.input(frames).split(self.widths, dim=1)
        q, k, v = (part.unflatten(1, (self.num_heads, -1)) for part in (query, key, value))
        bias: Bias | None = None
        if self.relative_keys is not None:
            bias = self.relative_keys.bias(q)
        elif self.gate_scale is not None and table is not None:
            update, reset = gate[0].float().sigmoid().unflatten(1, (2, self.num_heads)).unbind(1)
            bias = RelativeBias(table, update * (reset * self.gate_scale - 1) + 2)
        return self.output(attend(q, k, v, lengths, bias).flatten(1))


def gate_columns(gate: PositionGate) -> tuple[Tensor, Tensor]:
    """The gate's linear map as one over all heads at once, and its sums of four folded in.

    Returns:
        Weight (2 * heads, dim) and bias (2 * heads,): what goes into the sigmoid of "update" for each head, then of
        "reset". A head reads its own slice of the frame.
    """
    folded = gate.linear.weight.unflatten(0, (2, 4)).sum(1)  # (2, head_dim)
    weight = torch.stack([torch.block_diag(*[row] * gate.num_heads) for row in folded[:, None]])
    bias = gate.linear.bias.unflatten(0, (2, 4)).sum(1)  # (2,)
    return weight.flatten(0, 1), bias.repeat_interleave(gate.num_heads)
