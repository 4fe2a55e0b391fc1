"""Conformer layers over packed clips: Transformer layers with a convolution module."""

from collections.abc import Callable, Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.layers.attention import SelfAttention, attend_reference
from sonant.layers.kernels.activations import Activation, activation
from sonant.layers.packed import Packed, lay_with_gaps
from sonant.layers.relative_attention import RelativeAttention, RotaryAttention, Rotations, Sinusoids
from sonant.layers.transformer import FeedForward


class ConvModule(nn.Module):
    """Norm, gated linear unit, causal depthwise convolution, norm, swish, linear.

    A frame depends on itself and the `kernel - 1` frames before it, zeros before the clip.
    """

    def __init__(self, dim: int, *, kernel: int = 31, dropout: float = 0.0, eps: float = 1e-5) -> None:
        super().__init__()
        self.norm, self.depthwise_norm = nn.LayerNorm(dim, eps=eps), nn.LayerNorm(dim, eps=eps)
        self.inner, self.outer = nn.Linear(dim, 2 * dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.depthwise = nn.Conv1d(dim, dim, kernel, groups=dim, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim)."""
        gated = F.glu(self.inner(self.norm(frames.values)))
        before = self.depthwise.kernel_size[0] - 1
        stream, steps = lay_with_gaps(frames.with_values(gated), before)
        moved = self.depthwise(stream.T[None])[0].T  # (steps - before, dim)
        moved = moved.index_select(0, steps - before)
        return self.dropout(self.outer(F.silu(self.depthwise_norm(moved))))


class CenteredConvModule(nn.Module):
    """Norm, gated linear unit, depthwise convolution, batch norm, activation, linear: the module of the Conformer.

    A frame depends on itself and `(kernel - 1) / 2` frames on either side, zeros outside the clip. In training the
    batch norm takes its statistics over all frames of a batch, in evaluation clips are independent.
    Source: Conformer (arXiv 2005.08100, section 2.2).
    """

    def __init__(self, dim: int, *, kernel: int = 31, activation: Activation = "swish", dropout: float = 0.0) -> None:
        super().__init__()
        self.activation = activation
        self.norm, self.batch_norm = nn.LayerNorm(dim), nn.BatchNorm1d(dim)
        self.inner, self.outer = nn.Linear(dim, 2 * dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.depthwise = nn.Conv1d(dim, dim, kernel, groups=dim, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames: Packed) -> Tensor:
        """(total, dim) to (total, dim)."""
        gated = F.glu(self.inner(self.norm(frames.values)))
        side = self.depthwise.kernel_size[0] // 2
        stream, steps = lay_with_gaps(frames.with_values(gated), side, side)
        moved = self.depthwise(stream.T[None])[0].T  # (steps - 2 * side, dim)
        moved = self.batch_norm(moved.index_select(0, steps - side))
        return self.dropout(self.outer(activation(self.activation)(moved)))


class ConformerLayer(nn.Module):
    """Half a feed-forward block, attention, convolution module, half a feed-forward block, norm.

    Source: Conformer (arXiv 2005.08100). Attention and convolution module are passed in: those of w2v-BERT 2.0 (arXiv
    2312.05187) have relative keys, and a causal convolution with a layer norm.
    """

    def __init__(
        self,
        dim: int,
        attention: SelfAttention | RelativeAttention | RotaryAttention,
        conv: ConvModule | CenteredConvModule,
        make_feed_forward: Callable[[], FeedForward],
        *,
        dropout: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.feed_forward_1_norm, self.feed_forward_1 = nn.LayerNorm(dim, eps=eps), make_feed_forward()
        self.attention_norm, self.attention = nn.LayerNorm(dim, eps=eps), attention
        self.conv = conv
        self.feed_forward_2_norm, self.feed_forward_2 = nn.LayerNorm(dim, eps=eps), make_feed_forward()
        self.norm = nn.LayerNorm(dim, eps=eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames: Packed, table: Tensor | None = None) -> Tensor:
        """(total, dim) to (total, dim); `table`: of positions, where the attention needs one."""
        x = frames.values
        x = x + 0.5 * self.feed_forward_1(self.feed_forward_1_norm(x))
        x = x + self.dropout(self.attention(self.attention_norm(x), frames.sizes, table))
        x = x + self.conv(frames.with_values(x))
        x = x + 0.5 * self.feed_forward_2(self.feed_forward_2_norm(x))
        return self.norm(x)


def conformer_reference(layer: ConformerLayer, clip: Tensor) -> Tensor:
    """Compute the reference of a layer of w2v-BERT 2.0 on one clip (frames, dim), without dropout."""

    def halved(x: Tensor, norm: nn.LayerNorm, block: FeedForward) -> Tensor:
        inner = norm(x) @ block.inner.weight.T + block.inner.bias
        return (inner * inner.sigmoid()) @ block.outer.weight.T / 2 + block.outer.bias / 2

    def attended(x: Tensor) -> Tensor:
        part = layer.attention
        assert isinstance(part, SelfAttention)
        query, key, value = (
            linear(x).unflatten(1, (part.num_heads, -1)) for linear in (part.query, part.key, part.value)
        )
        bias = None if part.relative_keys is None else part.relative_keys.bias(query)
        return part.output(attend_reference(query, key, value, [len(x)], bias).flatten(1))

    def convolved(x: Tensor) -> Tensor:
        part = layer.conv
        assert isinstance(part, ConvModule)
        values, gates = (part.norm(x) @ part.inner.weight.T).chunk(2, dim=1)
        gated, taps = values * gates.sigmoid(), part.depthwise.weight[:, 0].T  # (frames, dim), (kernel, dim)
        moved = torch.zeros_like(gated)
        for back, tap in enumerate(taps.flip(0)):
            moved[back:] += tap * gated[: max(0, len(gated) - back)]
        normed = part.depthwise_norm(moved)
        return (normed * normed.sigmoid()) @ part.outer.weight.T

    x = clip + halved(clip, layer.feed_forward_1_norm, layer.feed_forward_1)
    x = x + attended(layer.attention_norm(x))
    x = x + convolved(x)
    return layer.norm(x + halved(x, layer.feed_forward_2_norm, layer.feed_forward_2))


class ConformerEncoder(nn.Module):
    """Conformer layers, followed by an optional norm.

    Hidden state 0 is the input of the first layer, hidden state i the output of layer i; `last` is the last of them
    after the norm.

    Args:
        make_layer: builds a layer; called for each layer.
        positions: computes the table of positions for attention from packed frames; None: no table.
        norm: after the layers; None for no norm.
        layerdrop: probability of skipping a layer in training.
    """

    def __init__(
        self,
        num_layers: int,
        make_layer: Callable[[], ConformerLayer],
        *,
        positions: Sinusoids | Rotations | None = None,
        norm: nn.LayerNorm | None = None,
        dropout: float = 0.0,
        layerdrop: float = 0.0,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(make_layer() for _ in range(num_layers))
        self.positions, self.norm = positions, norm
        self.dropout, self.layerdrop = nn.Dropout(dropout), layerdrop
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, frames: Packed, keep: Collection[int], *, last: bool) -> tuple[dict[int, Tensor], Tensor | None]:
        """Run the layers up to the last one needed.

        Args:
            frames: (total, dim).
            keep: numbers of the hidden states to return.
            last: whether to return the output.

        Returns:
            The hidden states by number, each (total, dim), and the output or None.
        """
        x = self.dropout(frames.values)
        kept = {0: x} if 0 in keep else {}
        depth = len(self.layers) if last else max(keep, default=0)
        table = self.positions(frames) if self.positions is not None and depth else None
        for number, layer in enumerate(self.layers[:depth], start=1):
            if not (self.training and self.layerdrop > 0 and torch.rand(()).item() < self.layerdrop):
                x = layer(frames.with_values(x), table)
            if number in keep:
                kept[number] = x
        if not last:
            return kept, None
        return kept, x if self.norm is None else self.norm(x)
