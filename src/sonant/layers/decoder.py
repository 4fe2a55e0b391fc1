"""The Transformer decoder: causal self-attention over tokens, and cross-attention to encoded frames (the memory).

`forward` takes packed whole sequences, for training; `step` takes the next token of each sequence and cached keys and
values, for decoding. Both compute the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.layers.packed import Packed
from sonant.layers.transformer import FeedForward


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

    Consecutive clips of equal lengths are computed as a batch.

    Args:
        query: (queries, heads, head_dim).
        key, value: (keys, heads, head_dim).
        query_lengths, key_lengths: of each clip.
        causal: query i attends to keys 0 to i.
        dropout: probability of dropping an attention weight.

    Returns:
        (queries, heads, head_dim).
    """
    results, start, key_start = [], 0, 0
    for (length, key_length), run in groupby(zip(query_lengths, key_lengths, strict=True)):
        count = len(list(run))
        end, key_end = start + count * length, key_start + count * key_length
        q = query[start:end].unflatten(0, (count, length)).transpose(1, 2)  # (count, heads, length, head_dim)
        k, v = (x[key_start:key_end].unflatten(0, (count, key_length)).transpose(1, 2) for x in (key, value))
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=causal)
        results.append(mixed.transpose(1, 2).flatten(0, 1))
        start, key_start = end, key_end
    return torch.cat(results)


@dataclass(frozen=True, eq=False)
class KeyValueCache:
    """Cached keys and values of one layer, each (rows, heads, steps, head_dim)."""

    keys: Tensor
    values: Tensor

    def select(self, rows: Tensor) -> KeyValueCache:
        return KeyValueCache(self.keys[rows], self.values[rows])

    def with_next(self, key: Tensor, value: Tensor) -> KeyValueCache:
        """Append one step, (rows, heads, 1, head_dim)."""
        return KeyValueCache(torch.cat([self.keys, key], 2), torch.cat([self.values, value], 2))


@dataclass(frozen=True, eq=False)
class DecoderState:
    """The decoding state of unfinished sequences over the same frames.

    Attributes:
        own: for each layer, cached keys and values of the tokens so far.
        memory: for each layer, keys and values of the frames; one row, for all sequences.
        steps: number of tokens so far.
    """

    own: tuple[KeyValueCache, ...]
    memory: tuple[KeyValueCache, ...]
    steps: int = 0

    def select(self, rows: Tensor) -> DecoderState:
        """Select sequences by number, in this order, with repetition."""
        return DecoderState(tuple(layer.select(rows) for layer in self.own), self.memory, self.steps)


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

    def step(self, frame: Tensor, remembered: KeyValueCache) -> Tensor:
        """Attend from one frame of each sequence (rows, dim) to the cache: (rows, dim)."""
        q = self.query(frame).unflatten(-1, (self.num_heads, -1)).unsqueeze(2)  # (rows, heads, 1, head_dim)
        keys, values = (x.expand(len(frame), -1, -1, -1) for x in (remembered.keys, remembered.values))
        return self.output(F.scaled_dot_product_attention(q, keys, values).flatten(1))


class DecoderLayer(nn.Module):
    """Causal self-attention, cross-attention and feed-forward; norms before (pre-norm) or after (post-norm) each."""

    def __init__(
        self,
        dim: int,
        attention: Attention,
        memory_attention: Attention,
        feed_forward: FeedForward,
        *,
        pre_norm: bool,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention, self.memory_attention, self.feed_forward = attention, memory_attention, feed_forward
        self.attention_norm, self.memory_norm, self.feed_forward_norm = (nn.LayerNorm(dim) for _ in range(3))
        self.pre_norm = pre_norm
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Packed, memory: Packed) -> Tensor:
        """Compute whole sequences (total, dim) over the memory (total_memory, dim)."""

        def to_itself(x: Tensor) -> Tensor:
            own = tokens.with_values(x)
            return self.attention(own, own, causal=True)

        def to_memory(x: Tensor) -> Tensor:
            return self.memory_attention(tokens.with_values(x), memory)

        return self._through(tokens.values, to_itself, to_memory)

    def step(self, token: Tensor, own: KeyValueCache, memory: KeyValueCache) -> tuple[Tensor, KeyValueCache]:
        """Compute the next token of each sequence (rows, dim): its output, and the new cache."""
        remembered = own

        def to_itself(x: Tensor) -> Tensor:
            nonlocal remembered
            new = self.attention.remember(x[:, None])
            remembered = own.with_next(new.keys, new.values)
            return self.attention.step(x, remembered)

        output = self._through(token, to_itself, lambda x: self.memory_attention.step(x, memory))
        return output, remembered

    def _through(
        self, x: Tensor, to_itself: Callable[[Tensor], Tensor], to_memory: Callable[[Tensor], Tensor]
    ) -> Tensor:
        for norm, part in (
            (self.attention_norm, lambda x: self.dropout(to_itself(x))),
            (self.memory_norm, lambda x: self.dropout(to_memory(x))),
            (self.feed_forward_norm, self.feed_forward),
        ):
            x = x + part(norm(x)) if self.pre_norm else norm(x + part(x))
        return x


class TransformerDecoder(nn.Module):
    """The decoder layers, followed by a norm in pre-norm models."""

    def __init__(self, dim: int, num_layers: int, make_layer: Callable[[], DecoderLayer], *, pre_norm: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(make_layer() for _ in range(num_layers))
        self.norm = nn.LayerNorm(dim) if pre_norm else nn.Identity()

    def forward(self, tokens: Packed, memory: Packed) -> Tensor:
        """Compute whole sequences of embedded tokens (total, dim) over the memory (total_memory, dim)."""
        x = tokens.values
        for layer in self.layers:
            x = layer(tokens.with_values(x), memory)
        return self.norm(x)

    def start(self, memory: Tensor) -> DecoderState:
        """Return the state of one empty sequence over the frames of one clip (frames, dim)."""
        own, remembered = [], []
        for layer in self.layers:
            assert isinstance(layer, DecoderLayer)
            own.append(layer.attention.remember(memory[None, :0]))
            remembered.append(layer.memory_attention.remember(memory[None]))
        return DecoderState(tuple(own), tuple(remembered))

    def step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Compute the next embedded token of each sequence (rows, dim): outputs (rows, dim) and the new state."""
        x, own = tokens, []
        for layer, before, memory in zip(self.layers, state.own, state.memory, strict=True):
            assert isinstance(layer, DecoderLayer)
            x, remembered = layer.step(x, before, memory)
            own.append(remembered)
        return self.norm(x), DecoderState(tuple(own), state.memory, state.steps + 1)
