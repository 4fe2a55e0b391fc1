"""The Transformer decoder: causal self-attention over tokens, and cross-attention to encoded frames (the memory).

Without cross-attention it is a causal language model. `forward` takes packed whole sequences, for training; `step`
takes the next token of each sequence and cached keys and values, for decoding. Both compute the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from sonant.layers.decoder_attention import Attention, KeyValueCache
from sonant.layers.packed import Packed
from sonant.layers.transformer import FeedForward


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
