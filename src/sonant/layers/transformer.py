"""The Transformer encoder that wav2vec 2.0, HuBERT and WavLM share, and the models over discretized speech."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sonant.layers.attention import SelfAttention
from sonant.layers.attention_adapter import AttentionAdapter
from sonant.layers.kernels.activations import Activation, activation
from sonant.layers.packed import Packed
from sonant.layers.positions import RelativePositions

# A compiled layer is compiled again for each new shape: clips and distances are rounded up to multiples of these.
CLIPS, DISTANCES = 64, 1024


class FeedForward(nn.Module):
    """Linear, activation, linear."""

    def __init__(
        self,
        dim: int,
        inner_dim: int,
        *,
        activation: Activation = "gelu",
        dropout: float = 0.0,
        activation_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.inner, self.outer = nn.Linear(dim, inner_dim), nn.Linear(inner_dim, dim)
        self.dropout, self.activation_dropout = nn.Dropout(dropout), nn.Dropout(activation_dropout)

    def forward(self, frames: Tensor) -> Tensor:
        return self.dropout(self.outer(self.activation_dropout(activation(self.activation)(self.inner(frames)))))


class TransformerLayer(nn.Module):
    """Self-attention and feed-forward with residual connections; norms before (pre-norm) or after (post-norm) each.

    A pre-norm layer may have an adapter, whose result is added last.
    """

    def __init__(
        self,
        dim: int,
        attention: SelfAttention,
        feed_forward: FeedForward,
        *,
        pre_norm: bool,
        adapter: AttentionAdapter | None = None,
        dropout: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.attention, self.feed_forward, self.adapter = attention, feed_forward, adapter
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(dim, eps=eps), nn.LayerNorm(dim, eps=eps)
        self.pre_norm = pre_norm
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames: Tensor, lengths: list[int] | Tensor, table: Tensor | None) -> Tensor:
        if self.pre_norm:
            frames = frames + self.dropout(self.attention(self.attention_norm(frames), lengths, table))
            frames = frames + self.feed_forward(self.feed_forward_norm(frames))
            return frames if self.adapter is None else frames + self.adapter(frames)
        frames = self.attention_norm(frames + self.dropout(self.attention(frames, lengths, table)))
        return self.feed_forward_norm(frames + self.feed_forward(frames))


class TransformerEncoder(nn.Module):
    """Positions and layers; the norm of the encoder is before the layers (post-norm) or after them (pre-norm).

    Hidden state 0 is the input of the first layer, hidden state i the raw output of layer i.

    Args:
        make_layer: builds a layer; called for each layer.
        positions: maps packed frames to positional vectors (total, dim), which are added; None adds nothing.
        relative_positions: the position bias of WavLM, shared by the layers.
        norm: whether the encoder has a norm besides those of its layers.
        layerdrop: probability of skipping a layer in training. The position bias does not belong
            to the first layer and is kept when that is skipped (the original loses it for that step).
    """

    def __init__(
        self,
        dim: int,
        num_layers: int,
        make_layer: Callable[[], TransformerLayer],
        positions: nn.Module | None,
        *,
        relative_positions: RelativePositions | None = None,
        pre_norm: bool,
        norm: bool = True,
        dropout: float = 0.0,
        layerdrop: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(make_layer() for _ in range(num_layers))
        self.positions, self.relative_positions = positions, relative_positions
        self.norm = nn.LayerNorm(dim, eps=eps) if norm else nn.Identity()
        self.pre_norm, self.layerdrop = pre_norm, layerdrop
        self._compiled_layer: Callable[..., Tensor] | None = None
        self.dropout = nn.Dropout(dropout)
        for module in self.layers.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, frames: Packed, keep: Collection[int], *, last: bool) -> tuple[dict[int, Tensor], Tensor | None]:
        """Run the layers up to the last one needed.

        Args:
            frames: (total, dim).
            keep: numbers of the hidden states to return.
            last: whether to return the output after the final norm.

        Returns:
            The hidden states by number, each (total, dim), and the output or None.
        """
        lengths: list[int] | Tensor
        lengths, reach = frames.sizes, frames.longest
        if self._compiled_layer is not None:
            lengths, reach = frames.padded_offsets(CLIPS), -(-reach // DISTANCES) * DISTANCES
        table = None if self.relative_positions is None else self.relative_positions.table(reach)
        return self.through_layers(self.before_layers(frames), lengths, table, keep, last=last)

    @contextmanager
    def compiled(self, backend: str | Callable[..., object] = "inductor") -> Iterator[None]:
        """Run the layers by `torch.compile` while the context is open.

        One graph serves all layers, and all batches of as many frames: the lengths of the clips are no constants of it.
        Other numbers of frames cost one more graph.

        Args:
            backend: of `torch.compile`.
        """
        self._compiled_layer = torch.compile(_through_layer, backend=backend)
        try:
            yield
        finally:
            self._compiled_layer = None

    def before_layers(self, frames: Packed) -> Tensor:
        """Compute hidden state 0, (total, dim)."""
        x = frames.values if self.positions is None else frames.values + self.positions(frames)
        return self.dropout(x if self.pre_norm else self.norm(x))

    def through_layers(
        self, x: Tensor, lengths: list[int] | Tensor, table: Tensor | None, keep: Collection[int], *, last: bool
    ) -> tuple[dict[int, Tensor], Tensor | None]:
        """Run the layers from hidden state 0 on; `lengths` and `table` are passed to attention."""
        kept = {0: x} if 0 in keep else {}
        depth = len(self.layers) if last else max(keep, default=0)
        for number, layer in enumerate(self.layers[:depth], start=1):
            if not (self.training and self.layerdrop > 0 and torch.rand(()).item() < self.layerdrop):
                x = (self._compiled_layer or _through_layer)(layer, x, lengths, table)
            if number in keep:
                kept[number] = x
        if not last:
            return kept, None
        return kept, self.norm(x) if self.pre_norm else x


def _through_layer(layer: nn.Module, x: Tensor, lengths: list[int] | Tensor, table: Tensor | None) -> Tensor:
    result: Tensor = layer(x, lengths, table)
    return result
