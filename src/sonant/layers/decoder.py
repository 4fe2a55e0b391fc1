"""The Transformer decoder: causal self-attention over tokens, and cross-attention to encoded frames (the memory).

Without cross-attention it is a causal language model. `forward` takes packed whole sequences, for training; `step`
takes the next token of each sequence and cached keys and values, for decoding. Both compute the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.layers.packed import Packed
from sonant.layers.transformer import FeedForward

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


@dataclass(frozen=True, eq=False)
class DecoderMemory:
    """Encoded frames of several clips, as cross-attention reads them.

    Attributes:
        layers: for each layer, keys and values of the frames, (clips, heads, longest, head_dim).
        mask: bool (clips, 1, 1, longest), the frames of each clip; None where all clips are equally long.
    """

    layers: tuple[KeyValueCache, ...]
    mask: Tensor | None

    def __getitem__(self, clips: Tensor) -> DecoderMemory:
        """Select clips by number."""
        mask = None if self.mask is None else self.mask[clips]
        return DecoderMemory(tuple(layer[clips] for layer in self.layers), mask)


@dataclass(frozen=True, eq=False)
class DecoderState:
    """The decoding state of unfinished sequences.

    Attributes:
        own: for each layer, cached keys and values of the tokens so far.
        memory: of the clips, each of which has equally many of the sequences, one after another; None without
            cross-attention.
        steps: number of tokens so far.
    """

    own: tuple[KeyValueCache, ...]
    memory: DecoderMemory | None = None
    steps: int = 0

    def __getitem__(self, rows: Tensor) -> DecoderState:
        """Select sequences by number, in this order, with repetition; they must belong to the same clips as before."""
        return replace(self, own=tuple(layer[rows] for layer in self.own))

    def of_clips(self, clips: Tensor) -> DecoderState:
        """Select clips by number, with all of their sequences."""
        if self.memory is None:
            return self[clips]
        width = len(self.own[0].keys) // len(self.memory.layers[0].keys)
        rows = (clips[:, None] * width + torch.arange(width, device=clips.device)).flatten()
        return replace(self[rows], memory=self.memory[clips])


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


class DecoderLayer(nn.Module):
    """Causal self-attention, cross-attention and feed-forward; norms before (pre-norm) or after (post-norm) each.

    Args:
        memory_attention: cross-attention; None in a language model.
    """

    def __init__(
        self,
        dim: int,
        attention: Attention,
        memory_attention: Attention | None,
        feed_forward: FeedForward,
        *,
        pre_norm: bool,
        dropout: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.attention, self.memory_attention, self.feed_forward = attention, memory_attention, feed_forward
        self.attention_norm, self.feed_forward_norm = (nn.LayerNorm(dim, eps=eps) for _ in range(2))
        self.memory_norm = None if memory_attention is None else nn.LayerNorm(dim, eps=eps)
        self.pre_norm = pre_norm
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Packed, memory: Packed | None) -> Tensor:
        """Compute whole sequences (total, dim) over the memory (total_memory, dim)."""

        def to_itself(x: Tensor) -> Tensor:
            own = tokens.with_values(x)
            return self.attention(own, own, causal=True)

        def to_memory(x: Tensor) -> Tensor:
            assert self.memory_attention is not None
            assert memory is not None
            return self.memory_attention(tokens.with_values(x), memory)

        return self._through(tokens.values, to_itself, to_memory)

    def step(
        self,
        token: Tensor,
        own: KeyValueCache,
        memory: KeyValueCache | None,
        mask: Tensor | None,
        own_mask: Tensor | None,
    ) -> tuple[Tensor, KeyValueCache]:
        """Compute the next token of each sequence (rows, dim): its output, and the new cache.

        `mask` is of the memory, `own_mask` as in `TransformerDecoder.step`.
        """
        remembered = own

        def to_itself(x: Tensor) -> Tensor:
            nonlocal remembered
            new = self.attention.remember(x.unflatten(0, (len(own.keys), -1)))
            remembered = own.with_next(new.keys, new.values)
            return self.attention.step(x, remembered, own_mask)

        def to_memory(x: Tensor) -> Tensor:
            assert self.memory_attention is not None
            assert memory is not None
            return self.memory_attention.step(x, memory, mask)

        return self._through(token, to_itself, to_memory), remembered

    def _through(
        self, x: Tensor, to_itself: Callable[[Tensor], Tensor], to_memory: Callable[[Tensor], Tensor]
    ) -> Tensor:
        parts: tuple[tuple[nn.Module | None, Callable[[Tensor], Tensor]], ...] = (
            (self.attention_norm, lambda x: self.dropout(to_itself(x))),
            (self.memory_norm, lambda x: self.dropout(to_memory(x))),
            (self.feed_forward_norm, self.feed_forward),
        )
        for norm, part in parts:
            if norm is not None:
                x = x + part(norm(x)) if self.pre_norm else norm(x + part(x))
        return x


class TransformerDecoder(nn.Module):
    """The decoder layers, followed by a norm in pre-norm models."""

    def __init__(
        self,
        dim: int,
        num_layers: int,
        make_layer: Callable[[], DecoderLayer],
        *,
        pre_norm: bool,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(make_layer() for _ in range(num_layers))
        self.norm = nn.LayerNorm(dim, eps=eps) if pre_norm else nn.Identity()

    def forward(self, tokens: Packed, memory: Packed | None = None) -> Tensor:
        """Compute whole sequences of embedded tokens (total, dim) over the memory (total_memory, dim)."""
        x = tokens.values
        for layer in self.layers:
            x = layer(tokens.with_values(x), memory)
        return self.norm(x)

    def start(self, memory: Packed) -> DecoderState:
        """Return the state of one empty sequence over the frames (total_memory, dim) of each clip."""
        padded, lengths = memory.to_padded()
        mask = None
        if len(set(memory.sizes)) > 1:
            mask = (torch.arange(padded.shape[1]) < lengths[:, None]).to(padded.device)[:, None, None]
        layers = []
        for layer in self._layers:
            assert layer.memory_attention is not None
            layers.append(layer.memory_attention.remember(padded))
        own = tuple(layer.attention.remember(padded[:, :0]) for layer in self._layers)
        return DecoderState(own, DecoderMemory(tuple(layers), mask))

    def step(self, tokens: Tensor, state: DecoderState, own_mask: Tensor | None = None) -> tuple[Tensor, DecoderState]:
        """Compute the next embedded token of each sequence (rows, dim): outputs (rows, dim) and the new state.

        Args:
            tokens: of each sequence; or several of each, one sequence behind another, (rows * new, dim).
            state: of the sequences.
            own_mask: bool (rows, 1, new, steps + new), the tokens of its own sequence that each token attends to, where
                sequences differ in length or several tokens are new; None: all.
        """
        x, own, memory = tokens, [], state.memory
        frames = [None] * len(self.layers) if memory is None else memory.layers
        for layer, before, read in zip(self._layers, state.own, frames, strict=True):
            x, remembered = layer.step(x, before, read, None if memory is None else memory.mask, own_mask)
            own.append(remembered)
        return self.norm(x), replace(state, own=tuple(own), steps=state.steps + 1)

    @property
    def _layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]
