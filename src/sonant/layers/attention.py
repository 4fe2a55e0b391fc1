"""Self-attention over packed clips: each clip attends to itself only.

For query i, key j of the same clip, and head h:

    logit[h, i, j] = query[i, h] @ key[j, h] / sqrt(head_dim) + bias[h, i, j]
    output[i, h] = sum_j softmax_j(logit[h, i, j]) value[j, h]
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.layers.kernels import flex_attention, triton_attention
from sonant.layers.kernels.biases import RelativeBias, RelativeKeyBias, RelativeProductBias
from sonant.layers.kernels.cpu_attention import attend_cpu
from sonant.layers.kernels.flex_attention import attend_flex
from sonant.layers.kernels.tracing import is_traced
from sonant.layers.kernels.triton_attention import attend_triton
from sonant.layers.positions import PositionGate, RelativeKeys

KernelBias = RelativeBias | RelativeKeyBias  # those that the kernels support
Bias = KernelBias | RelativeProductBias
Kernel = Literal["triton", "flex", "cpu", "torch"]
BiasOfBlock = Callable[[int, int], Tensor]  # first and last query, from the end of a clip, to (..., rows, length)

# Logits of a block of queries, when no gradient is needed; on a CPU they should fit into the cache.
BLOCK_LOGITS = {"cpu": 1 << 20, "cuda": 1 << 26}


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: list[int] | Tensor,
    bias: Bias | None = None,
    *,
    dropout: float = 0.0,
) -> Tensor:
    """Compute softmax attention of each clip to itself.

    Memory grows linearly with the length; by torch operations, only without gradients.

    Args:
        query, key, value: (total, heads, head_dim).
        lengths: frames of each clip; or their offsets, int64 (clips + 1,) on the device of the queries, where clips may
            be empty. A compiled graph takes offsets: a list would be a constant of the graph.
        bias: added to the logits.
        dropout: probability of dropping an attention weight.

    Returns:
        (total, heads, head_dim).
    """
    if isinstance(lengths, Tensor):
        return _attend_by_offsets(query, key, value, lengths, bias, dropout=dropout)
    if isinstance(bias, RelativeProductBias):
        return attend_by_torch(query, key, value, lengths, bias, dropout=dropout)
    match kernel_for(query, dropout=dropout):
        case "triton":
            return attend_triton(query, key, value, lengths, bias, dropout=dropout)
        case "flex":
            return attend_flex(query, key, value, lengths, bias)
        case "cpu" if (result := attend_cpu(query, key, value, lengths, bias, dropout=dropout)) is not None:
            return result
    return attend_by_torch(query, key, value, lengths, bias, dropout=dropout)


def _attend_by_offsets(
    query: Tensor, key: Tensor, value: Tensor, offsets: Tensor, bias: Bias | None, *, dropout: float
) -> Tensor:
    """Compute `attend` in the compiled graph where a kernel takes offsets, and outside of it elsewhere."""
    if not isinstance(bias, RelativeProductBias):
        match kernel_for(query, dropout=dropout):
            case "triton":
                return attend_triton(query, key, value, offsets, bias, dropout=dropout)
            case "flex":
                return attend_flex(query, key, value, offsets, bias)
    if torch.compiler.is_dynamo_compiling():
        from sonant.layers.kernels.eager import call_eagerly

        return call_eagerly(attend, query, key, value, offsets, bias, dropout=dropout)
    return attend(query, key, value, offsets.diff().tolist(), bias, dropout=dropout)


def kernel_for(query: Tensor, *, dropout: float) -> Kernel:
    """Choose the fastest kernel for these queries: Triton on a GPU, or FlexAttention for wide heads; C++ on a CPU.

    A graph compiled for a GPU can contain Triton kernels; any other traced graph contains torch operations only.
    """
    if is_traced() and not (query.is_cuda and torch.compiler.is_dynamo_compiling()):
        return "torch"
    if triton_attention.available(query):
        return "triton"
    if dropout == 0 and flex_attention.available(query):
        return "flex"
    return "cpu" if query.device.type == "cpu" else "torch"


def _wants_gradient(query: Tensor, key: Tensor, value: Tensor, bias: Bias | None) -> bool:
    match bias:
        case RelativeBias(table=table, gate=gate):
            of_bias = [table, gate]
        case RelativeKeyBias(scores=scores):
            of_bias = [scores]
        case RelativeProductBias(query=biased, keys=keys):
            of_bias = [biased, keys]
        case None:
            of_bias = []
    return torch.is_grad_enabled() and any(x.requires_grad for x in (query, key, value, *of_bias))


def attend_by_torch(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: list[int],
    bias: Bias | None = None,
    *,
    dropout: float = 0.0,
) -> Tensor:
    """Compute `attend` by torch operations, on any device and with gradients.

    Consecutive clips of equal length are computed as a batch. With a bias and without gradients, queries are processed
    in blocks. Logits are float32 for any dtype: in bfloat16, a logit of 100 would be rounded by up to 0.25.
    """
    in_blocks = not _wants_gradient(query, key, value, bias)
    results, start = [value[:0]], 0
    for length, run in groupby(lengths):
        if length == 0:
            continue
        count = len(list(run))
        steps = slice(start, start + count * length)
        q, k, v = (x[steps].unflatten(0, (count, length)).transpose(1, 2) for x in (query, key, value))
        if bias is None:
            result = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)  # (count, heads, length, head_dim)
        else:
            blocks = _blocks_of(bias, steps, length)
            with _without_autocast(query.device.type):
                result = _attend_with_bias(q, k, v, blocks, dropout=dropout, in_blocks=in_blocks)
        results.append(result.transpose(1, 2).flatten(0, 1))
        start = steps.stop
    return results[-1] if len(results) <= 2 else torch.cat(results)


def _attend_with_bias(q: Tensor, k: Tensor, v: Tensor, bias: BiasOfBlock, *, dropout: float, in_blocks: bool) -> Tensor:
    """Compute attention of (count, heads, length, head_dim) with a bias.

    Queries are reversed, so that a bias by distance is a strided view of a table. With `in_blocks` no tensor of length
    times length is stored.
    """
    count, heads, length, head_dim = q.shape
    q, scale, keys = q.flip(2), head_dim**-0.5, _precise(k).transpose(2, 3)
    rows = length
    fused = in_blocks and q.device.type == "cpu" and dropout == 0  # 1.1 to 1.5 times as fast
    if in_blocks:
        rows = max(1, BLOCK_LOGITS.get(q.device.type, BLOCK_LOGITS["cuda"]) // (count * heads * length))
    blocks = []
    for top in range(0, length, rows):
        bottom = min(top + rows, length)
        added = bias(top, bottom)  # (count, heads, rows, length)
        if fused and added.dtype in {q.dtype, torch.float32}:
            blocks.append(F.scaled_dot_product_attention(q[:, :, top:bottom], k, v, attn_mask=added, scale=scale))
            continue
        logits = torch.matmul(_precise(q[:, :, top:bottom]) * scale, keys) + added
        weights = F.dropout(logits.softmax(-1), dropout, training=dropout > 0)
        blocks.append(torch.matmul(weights.to(v.dtype), v))
    return torch.cat(blocks, 2).flip(2)


def _precise(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _without_autocast(device_type: str) -> AbstractContextManager[object]:
    """Disable autocast where it is on; a traced graph then has no autocast node where it is off."""
    on = torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type)
    return torch.autocast(device_type, enabled=False) if on else nullcontext()


def _blocks_of(bias: Bias, steps: slice, length: int) -> BiasOfBlock:
    """Return a function that computes the bias of blocks of queries, last query first, for clips of equal length."""

    def of_clips(values: Tensor) -> Tensor:
        """Reshape (total, heads, ...) to (clips, heads, length, ...), queries reversed."""
        return values[steps].unflatten(0, (-1, length)).transpose(1, 2).flip(2)

    match bias:
        case RelativeBias(table=table, gate=gate):
            margin = (table.shape[1] + 1) // 2 - length
            table, gate = table[:, margin : table.shape[1] - margin], of_clips(gate).unsqueeze(-1)

            def gated(top: int, bottom: int) -> Tensor:
                """The bias of reversed query r and key j is gate[r] * table[r + j]: windows, as a view."""
                return gate[:, :, top:bottom] * table[:, top : bottom + length - 1].unfold(1, length, 1)

            return gated
        case RelativeKeyBias(scores=scores, left=left):
            scores, right = of_clips(scores), scores.shape[2] - 1 - left

            def keyed(top: int, bottom: int) -> Tensor:
                """Row r holds the scores of all distances of the block, ends repeated; key j is at r + j."""
                block = scores[:, :, top:bottom]
                nearest, farthest = top + 1 - length, bottom - 1  # distance of the first and the last column
                before, after = max(0, -left - nearest), max(0, farthest - right)
                known = block[..., max(0, nearest + left) : min(farthest, right) + left + 1]
                wide = torch.cat(
                    [
                        block[..., :1].expand(*block.shape[:3], before),
                        known,
                        block[..., -1:].expand(*block.shape[:3], after),
                    ],
                    -1,
                )  # (clips, heads, rows, length + rows - 1)
                return wide.flatten(-2).unfold(-1, length, wide.shape[-1] + 1)  # (clips, heads, rows, length)

            return keyed
        case RelativeProductBias(query=biased, keys=keys):
            biased, reach = of_clips(biased), (len(keys) + 1) // 2
            of_distance = _precise(keys)[reach - length : reach + length - 1].permute(
                1, 2, 0
            )  # (heads, head_dim, distances)

            def multiplied(top: int, bottom: int) -> Tensor:
                """Row r holds the products with the keys of all distances in the block; key j is at r + j."""
                wide = torch.matmul(_precise(biased[:, :, top:bottom]), of_distance[..., top : bottom + length - 1])
                return wide.flatten(-2).unfold(-1, length, wide.shape[-1] + 1)  # (clips, heads, rows, length)

            return multiplied


def attend_reference(query: Tensor, key: Tensor, value: Tensor, lengths: list[int], bias: Bias | None = None) -> Tensor:
    """Compute the reference of `attend`: clip by clip, with every logit explicit."""
    results = []
    offset = 0
    for length in lengths:
        q, k, v = (
            x[offset : offset + length].transpose(0, 1) for x in (query, key, value)
        )  # (heads, length, head_dim)
        logits = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
        position = torch.arange(length, device=query.device)
        distance = position[None, :] - position[:, None]  # key minus query
        match bias:
            case RelativeBias(table=table, gate=gate):
                reach = (table.shape[1] + 1) // 2
                logits = logits + gate[offset : offset + length].T[:, :, None] * table[:, distance + reach - 1]
            case RelativeKeyBias(scores=scores, left=left):
                number = (distance + left).clamp(0, scores.shape[2] - 1)  # (length, length)
                own = scores[offset : offset + length].transpose(0, 1)  # (heads, length, distances)
                logits = logits + own.gather(2, number.expand(len(own), -1, -1))
            case RelativeProductBias(query=biased, keys=keys):
                reach = (len(keys) + 1) // 2
                logits = logits + torch.einsum(
                    "ihd,ijhd->hij", biased[offset : offset + length], keys[distance + reach - 1]
                )
        results.append((logits.softmax(-1) @ v).transpose(0, 1))
        offset += length
    return torch.cat(results)


class SelfAttention(nn.Module):
    """Multi-head self-attention, optionally with the gated position bias of WavLM or with relative keys."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        gate: PositionGate | None = None,
        relative_keys: RelativeKeys | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim) for _ in range(4))
        self.gate, self.relative_keys = gate, relative_keys

    def forward(self, frames: Tensor, lengths: list[int] | Tensor, table: Tensor | None = None) -> Tensor:
        """(total, dim) to (total, dim).

        Args:
            frames: (total, dim).
            lengths: as in `attend`.
            table: (heads, 2 * reach - 1), the position bias shared by the layers.
        """
        q, k, v = (linear(frames).unflatten(-1, (self.num_heads, -1)) for linear in (self.query, self.key, self.value))
        bias: Bias | None = None
        if self.relative_keys is not None:
            bias = self.relative_keys.bias(q)
        elif self.gate is not None and table is not None:
            bias = RelativeBias(table, self.gate(frames))
        mixed = attend(q, k, v, lengths, bias, dropout=self.dropout if self.training else 0.0)
        return self.output(mixed.flatten(1))
