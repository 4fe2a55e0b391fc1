"""Construction of encoders from configurations, for several families."""

from torch import nn

from sonant.layers.attention import SelfAttention
from sonant.layers.attention_adapter import AttentionAdapter
from sonant.layers.kernels.activations import Activation
from sonant.layers.positions import PositionGate, RelativePositions
from sonant.layers.transformer import FeedForward, TransformerEncoder, TransformerLayer


class FeedForwardSettings:
    """Base of the configurations with feed-forward blocks; they declare the fields, in an order of their own."""

    dim: int
    feed_forward_dim: int
    dropout: float
    activation_dropout: float


class EncoderSettings(FeedForwardSettings):
    """Base of the configurations of Transformer encoders, which declare the fields."""

    num_layers: int
    num_heads: int
    layer_norm_eps: float
    attention_dropout: float
    layerdrop: float


def feed_forward(
    config: FeedForwardSettings, activation: Activation = "gelu", *, dim: int | None = None
) -> FeedForward:
    """Make a feed-forward block, of another width than the configuration's where `dim` is given."""
    c = config
    return FeedForward(
        dim or c.dim,
        c.feed_forward_dim,
        activation=activation,
        dropout=c.dropout,
        activation_dropout=c.activation_dropout,
    )


def transformer_encoder(
    config: EncoderSettings,
    positions: nn.Module | None,
    *,
    pre_norm: bool = False,
    relative_positions: RelativePositions | None = None,
    attention_adapter_dim: int | None = None,
) -> TransformerEncoder:
    """Build a Transformer encoder with initial weights.

    Args:
        positions, relative_positions: as in `TransformerEncoder`; the latter with a gate in each layer.
        attention_adapter_dim: narrow width of the adapter of each layer; None: no adapters.
    """
    c = config

    def make_layer() -> TransformerLayer:
        gate = None if relative_positions is None else PositionGate(c.dim, c.num_heads)
        return TransformerLayer(
            c.dim,
            SelfAttention(c.dim, c.num_heads, gate=gate, dropout=c.attention_dropout),
            feed_forward(c),
            pre_norm=pre_norm,
            adapter=None if attention_adapter_dim is None else AttentionAdapter(c.dim, attention_adapter_dim),
            dropout=c.dropout,
            eps=c.layer_norm_eps,
        )

    return TransformerEncoder(
        c.dim,
        c.num_layers,
        make_layer,
        positions,
        relative_positions=relative_positions,
        pre_norm=pre_norm,
        dropout=c.dropout,
        layerdrop=c.layerdrop,
        eps=c.layer_norm_eps,
    )
