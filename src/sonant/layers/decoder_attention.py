"""Attention in a Transformer decoder: from tokens to earlier tokens, and across to encoded frames."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.layers.packed import Packed

PADDED = 8  # lengths of clips are rounded up to a multiple of it where attention is causal


def attend_across(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    query_lengths: list[int],
    key_lengths: list[int],
    *,
    causal: bool = False,
    dropout: float = 0.0,
) -> Tensor:
    """Compute softmax attention of clip i of the queries to clip i of the keys.

    Consecutive clips of equal lengths are computed as a batch; if attention is causal those of similar lengths too, by
    padding at their ends, which no query looks ahead to.

    Args:
        query: (queries, heads, head_dim).
        key, value: (keys, heads, head_dim).
        query_lengths, key_lengths: of each clip; the same if attention is causal.
        causal: query i attends to keys 0 to i.
        dropout: probability of dropping an attention weight.

    Returns:
        (queries, heads, head_dim).
    """
    results, start, key_start = [], 0, 0
    step = PADDED if causal else 1
    pairs = zip(query_lengths, key_lengths, strict=True)
    for _, run in groupby(pairs, key=lambda pair: (-(-pair[0] // step), -(-pair[1] // step))):
        sizes, key_sizes = zip(*run, strict=True)
        end, key_end = start + sum(sizes), key_start + sum(key_sizes)
        q = _padded(query[start:end], sizes)  # (clips, heads, length, head_dim)
        k, v = (_padded(x[key_start:key_end], key_sizes) for x in (key, value))
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=causal).transpose(1, 2)
        results += [clip[:size] for clip, size in zip(mixed, sizes, strict=True)]
        start, key_start = end, key_end
    return torch.cat(results)


def _padded(clips: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Return packed clips (total, heads, head_dim) as (clips, heads, longest, head_dim)."""
    if len(set(sizes)) == 1:
        return clips.unflatten(0, (len(sizes), -1)).transpose(1, 2)
    return torch.nn.utils.rnn.pad_sequence(list(clips.split(list(sizes))), batch_first=True).transpose(1, 2)


@dataclass(frozen=True, eq=False)
class KeyValueCache:
    """Cached keys and values of one layer, each (rows, heads, steps, head_dim)."""

    keys: Tensor
    values: Tensor

    def __getitem__(self, rows: Tensor) -> KeyValueCache:
        """Select rows by number, in this order, with repetition."""
        return KeyValueCache(self.keys[rows], self.values[rows])

    def with_next(self, key: Tensor, value: Tensor) -> KeyValueCache:
        """Append steps, (rows, heads, steps, head_dim)."""
        return KeyValueCache(torch.cat([self.keys, key], 2), torch.cat([self.values, value], 2))


class Attention(nn.Module):
    """Multi-head attention of one sequence to another, or causal self-attention."""

    def __init__(self, dim: int, num_heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, frames: Packed, memory: Packed, *, causal: bool = False) -> Tensor:
        """Attend from (total, dim) to the memory (total_memory, dim): (total, dim)."""
        q, k, v = (
            linear(x).unflatten(-1, (self.num_heads, -1))
            for linear, x in ((self.query, frames.values), (self.key, memory.values), (self.value, memory.values))
        )
        dropout = self.dropout if self.training else 0.0
        mixed = attend_across(q, k, v, frames.sizes, memory.sizes, causal=causal, dropout=dropout)
        return self.output(mixed.flatten(1))

    def remember(self, frames: Tensor) -> KeyValueCache:
        """Compute keys and values of frames (rows, steps, dim)."""
        keys, values = (
            linear(frames).unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for linear in (self.key, self.value)
        )
        return KeyValueCache(keys, values)

    def step(self, frame: Tensor, remembered: KeyValueCache, mask: Tensor | None = None) -> Tensor:
        """Attend from one frame of each sequence (rows, dim) to the cache: (rows, dim).

        Args:
            remembered: of each sequence, or of each clip, to which equally many of the sequences belong.
            mask: bool, what may be attended to, that broadcasts to (clips, heads, sequences, steps).
        """
        query = self.query(frame).unflatten(-1, (self.num_heads, -1))  # (rows, heads, head_dim)
        query = query.unflatten(0, (len(remembered.keys), -1)).transpose(1, 2)  # (clips, heads, sequences, head_dim)
        mixed = F.scaled_dot_product_attention(query, remembered.keys, remembered.values, attn_mask=mask)
        return self.output(mixed.transpose(1, 2).reshape(len(frame), -1))
