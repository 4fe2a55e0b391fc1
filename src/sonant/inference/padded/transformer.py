"""The Transformer encoder on padded speech."""

from torch import Tensor, nn

from sonant.inference.padded.attention import PaddedSelfAttention
from sonant.inference.padded.positions import PaddedRelativePositions
from sonant.layers.transformer import TransformerEncoder, TransformerLayer


class PaddedTransformerLayer(nn.Module):
    """`TransformerLayer`."""

    def __init__(self, layer: TransformerLayer) -> None:
        super().__init__()
        self.pre_norm, self.adapter = layer.pre_norm, layer.adapter
        self.attention_norm, self.attention = layer.attention_norm, PaddedSelfAttention(layer.attention)
        self.feed_forward_norm, self.feed_forward = layer.feed_forward_norm, layer.feed_forward

    def forward(self, x: Tensor, mask: Tensor, positions: Tensor | None) -> Tensor:
        """(batch, time, dim) to the same; `mask` and `positions` as for `PaddedSelfAttention`."""
        if self.pre_norm:
            x = x + self.attention(self.attention_norm(x), mask, positions)
            x = x + self.feed_forward(self.feed_forward_norm(x))
            return x if self.adapter is None else x + self.adapter(x)
        x = self.attention_norm(x + self.attention(x, mask, positions))
        normed: Tensor = self.feed_forward_norm(x + self.feed_forward(x))
        return normed


class PaddedTransformerEncoder(nn.Module):
    """The layers and the norm of a `TransformerEncoder`, without its positions."""

    def __init__(self, encoder: TransformerEncoder) -> None:
        super().__init__()
        self.pre_norm, self.norm = encoder.pre_norm, encoder.norm
        relative = encoder.relative_positions
        self.relative_positions = None if relative is None else PaddedRelativePositions(relative)
        self.layers = nn.ModuleList(
            PaddedTransformerLayer(layer) for layer in encoder.layers if isinstance(layer, TransformerLayer)
        )

    def forward(self, x: Tensor, mask: Tensor, depth: int) -> tuple[list[Tensor], Tensor]:
        """Run the layers up to `depth`.

        Args:
            x: (batch, time, dim), with positions added.
            mask: as for `PaddedSelfAttention`.

        Returns:
            Hidden states 0 to `depth`, each (batch, time, dim), and the output if all layers were run.
        """
        positions = None if self.relative_positions is None else self.relative_positions(x.shape[1])
        states = [x if self.pre_norm else self.norm(x)]
        for layer in self.layers[:depth]:
            states.append(layer(states[-1], mask, positions))
        return states, self.norm(states[-1]) if self.pre_norm else states[-1]
