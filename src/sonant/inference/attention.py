"""Self-attention for inference: one matrix product computes queries, keys, values and the gate of WavLM."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.layers.attention import KernelBias, SelfAttention, attend
from sonant.layers.kernels.biases import RelativeBias
from sonant.layers.kernels.triton_attention import attend_blocks
from sonant.layers.positions import PositionGate

MakeLinear = Callable[[Tensor, Tensor | None], nn.Module]  # from weight (out, in) and bias (out,)


class FusedSelfAttention(nn.Module):
    """`SelfAttention` without gradients.

    Args:
        attention: the module whose weights are used.
        make_input: builds the linear layer to queries, keys and values.
        make_output: builds the output layer.
        alignment: the number of columns of the product is padded to a multiple of it.
    """

    def __init__(
        self, attention: SelfAttention, make_input: MakeLinear, make_output: MakeLinear, *, alignment: int = 1
    ) -> None:
        super().__init__()
        self.num_heads, self.relative_keys = attention.num_heads, attention.relative_keys
        self.gate_scale = None if attention.gate is None else attention.gate.scale.detach().float()
        self.head_dim = attention.output.in_features // self.num_heads
        parts = [attention.query, attention.key, attention.value]
        weights: list[Tensor] = [part.weight for part in parts]
        biases: list[Tensor] = [part.bias for part in parts]
        if attention.gate is not None:
            weight, bias = _gate_columns(attention.gate)
            fill = -len(weight) % alignment
            weights, biases = [*weights, F.pad(weight, (0, 0, 0, fill))], [*biases, F.pad(bias, (0, fill))]
        self.widths = [len(weight) for weight in weights]
        self.input = make_input(torch.cat(weights), torch.cat(biases))
        self.output = make_output(attention.output.weight, attention.output.bias)

    def forward(self, frames: Tensor, clips: list[int] | Tensor, table: Tensor | None = None) -> Tensor:
        """(total, dim) to (total, dim).

        `clips`: lengths, or a block table (see `layers.kernels.triton_blocks`); `table`: as in
        `SelfAttention`.
        """
        query, key, value, *gates = self.input(frames).split(self.widths, dim=1)
        q, k, v = (part.unflatten(1, (self.num_heads, -1)) for part in (query, key, value))
        bias: KernelBias | None = None
        if self.relative_keys is not None:
            bias = self.relative_keys.bias(q)
        elif self.gate_scale is not None and table is not None:
            both = gates[0][:, : 2 * self.num_heads].float().sigmoid()
            update, reset = both.unflatten(1, (2, self.num_heads)).unbind(1)
            bias = RelativeBias(table, update * (reset * self.gate_scale - 1) + 2)
        mixed = attend_blocks(q, k, v, clips, bias) if isinstance(clips, Tensor) else attend(q, k, v, clips, bias)
        return self.output(mixed.flatten(1))


def _gate_columns(gate: PositionGate) -> tuple[Tensor, Tensor]:
    """Fold the linear layer of the gate and its sums of four into one linear map over all heads.

    Returns:
        Weight (2 * heads, dim) and bias (2 * heads,): the arguments of the sigmoids of "update" for all heads, then
        of "reset".
    """
    folded = gate.linear.weight.unflatten(0, (2, 4)).sum(1)  # (2, head_dim)
    weight = torch.stack([torch.block_diag(*[row] * gate.num_heads) for row in folded[:, None]])
    bias = gate.linear.bias.unflatten(0, (2, 4)).sum(1)  # (2,)
    return weight.flatten(0, 1), bias.repeat_interleave(gate.num_heads)
