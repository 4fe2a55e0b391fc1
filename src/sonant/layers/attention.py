"""Self-attention over packed clips: each clip attends to itself only."""

from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.layers.positions import PositionGate, RelativeBias

# Logits that one block may hold when no gradient is wanted: on a CPU they should stay in the cache, a GPU wants many.
BLOCK_LOGITS = {"cpu": 1 << 20, "cuda": 1 << 26}


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: list[int],
    bias: RelativeBias | None = None,
    *,
    dropout: float = 0.0,
) -> Tensor:
    """Softmax attention of each clip to itself.

    Neighbours of one length are computed as a batch. With a bias and no gradient, queries go in blocks, so that memory
    grows with the length, not with its square.

    Args:
        query, key, value: (total, heads, head_dim).
        lengths: frames of each clip.
        bias: what to add to the logits.
        dropout: probability of dropping an attention weight.

    Returns:
        (total, heads, head_dim).
    """
    results, start = [], 0
    for length, run in groupby(lengths):
        count = len(list(run))
        steps = slice(start, start + count * length)
        q, k, v = (x[steps].unflatten(0, (count, length)).transpose(1, 2) for x in (query, key, value))
        if bias is None:
            result = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)  # (count, heads, length, head_dim)
        else:
            gate = bias.gate[steps].unflatten(0, (count, length)).transpose(1, 2)  # (count, heads, length)
            result = _attend_with_bias(q, k, v, bias.table, gate, dropout=dropout)
        results.append(result.transpose(1, 2).flatten(0, 1))
        start = steps.stop
    return results[0] if len(results) == 1 else torch.cat(results)


def _attend_with_bias(q: Tensor, k: Tensor, v: Tensor, table: Tensor, gate: Tensor, *, dropout: float) -> Tensor:
    """(count, heads, length, head_dim), the table of distances (heads, 2 * reach - 1) and gate (count, heads, length).

    With the queries in reverse, the bias of query r and key j is table[r + j]: sliding windows over the table, which
    `unfold` gives as a view. Nothing of length times length is kept.
    """
    count, heads, length, head_dim = q.shape
    margin = (table.shape[1] + 1) // 2 - length
    table = table[:, margin : table.shape[1] - margin]
    q, gate = (q * head_dim**-0.5).flip(2), gate.flip(2).unsqueeze(-1)
    keys = k.transpose(2, 3)
    rows = length
    if not torch.is_grad_enabled():
        rows = max(1, BLOCK_LOGITS.get(q.device.type, BLOCK_LOGITS["cuda"]) // (count * heads * length))
    blocks = []
    for top in range(0, length, rows):
        block = slice(top, min(top + rows, length))
        windows = table[:, block.start : block.stop + length - 1].unfold(1, length, 1)  # (heads, rows, length)
        logits = torch.matmul(q[:, :, block], keys) + gate[:, :, block] * windows
        weights = F.dropout(logits.softmax(-1), dropout, training=dropout > 0)
        blocks.append(torch.matmul(weights.to(v.dtype), v))
    return torch.cat(blocks, 2).flip(2)


def attend_reference(
    query: Tensor, key: Tensor, value: Tensor, lengths: list[int], bias: RelativeBias | None = None
) -> Tensor:
    """What `attend` must equal, written from the formula: clip by clip, every logit spelled out."""
    results = []
    offset = 0
    for length in lengths:
        q, k, v = (
            x[offset : offset + length].transpose(0, 1) for x in (query, key, value)
        )  # (heads, length, head_dim)
        logits = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
        if bias is not None:
            reach = (bias.table.shape[1] + 1) // 2
            position = torch.arange(length, device=query.device)
            distance = position[None, :] - position[:, None]  # key minus query
            gate = bias.gate[offset : offset + length].T[:, :, None]
            logits = logits + gate * bias.table[:, distance + reach - 1]
        results.append((logits.softmax(-1) @ v).transpose(0, 1))
        offset += length
    return torch.cat(results)


class SelfAttention(nn.Module):
    """Multi-head self-attention; with a gate it heeds relative positions, as WavLM does."""

    def __init__(self, dim: int, num_heads: int, *, gate: PositionGate | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim) for _ in range(4))
        self.gate = gate

    def forward(self, frames: Tensor, lengths: list[int], table: Tensor | None = None) -> Tensor:
        """(total, dim) to (total, dim); `table` (heads, 2 * reach - 1) is the position bias shared by the layers."""
        q, k, v = (linear(frames).unflatten(-1, (self.num_heads, -1)) for linear in (self.query, self.key, self.value))
        bias = None if self.gate is None or table is None else RelativeBias(table, self.gate(frames))
        mixed = attend(q, k, v, lengths, bias, dropout=self.dropout if self.training else 0.0)
        return self.output(mixed.flatten(1))
