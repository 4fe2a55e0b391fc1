"""A Transformer that predicts the next token of a text, over encoded frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sonant.errors import ConfigurationError
from sonant.layers.decoder import DecoderLayer, DecoderState, TransformerDecoder
from sonant.layers.decoder_attention import Attention
from sonant.layers.kernels.activations import Activation
from sonant.layers.packed import Packed, steps_at
from sonant.layers.token_positions import FIRST_ROW, SinusoidalPositions
from sonant.models.code_vocabulary import END, PAD, SPECIALS
from sonant.models.encoders import FeedForwardSettings, feed_forward


@dataclass(frozen=True, kw_only=True)
class TokenDecoderConfig(FeedForwardSettings):
    """Sizes and rates.

    Attributes:
        vocabulary_size: number of tokens, with the four special ones; 0 before the vocabulary is known.
        pre_norm: norms before attention and feed-forward, with one more after the last layer.
        share_output: the embeddings of tokens are the weights of the output layer.
    """

    vocabulary_size: int = 0
    dim: int = 512
    num_layers: int = 6
    num_heads: int = 8
    feed_forward_dim: int = 2048
    pre_norm: bool = True
    activation: Activation = "relu"
    share_output: bool = True
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.dim % self.num_heads or self.dim % 2:
            raise ConfigurationError(f"dim={self.dim} must be even and a multiple of num_heads={self.num_heads}.")


class TokenDecoder(nn.Module):
    """Embedded tokens with sinusoidal positions, decoder layers, and a linear layer to the next token.

    As in fairseq, a text begins and ends with "</s>", and embeddings are multiplied by the square root of their width.
    """

    def __init__(self, config: TokenDecoderConfig) -> None:
        super().__init__()
        c = config

        def layer() -> DecoderLayer:
            own, memory = (Attention(c.dim, c.num_heads, dropout=c.attention_dropout) for _ in range(2))
            return DecoderLayer(
                c.dim,
                own,
                memory,
                feed_forward(c, c.activation),
                pre_norm=c.pre_norm,
                dropout=c.dropout,
            )

        self.text_embedding = nn.Embedding(c.vocabulary_size, c.dim)
        self.positions = SinusoidalPositions(c.dim)
        self.decoder = TransformerDecoder(c.dim, c.num_layers, layer, pre_norm=c.pre_norm)
        self.output = nn.Linear(c.dim, c.vocabulary_size, bias=False)
        self.dropout = nn.Dropout(c.dropout)
        initialize(self, c.dim)
        nn.init.normal_(self.output.weight, std=c.dim**-0.5)
        if c.share_output:
            self.output.weight = self.text_embedding.weight

    @property
    def end(self) -> int:
        """The token that begins and ends a text."""
        return SPECIALS.index(END)

    @property
    def scale(self) -> float:
        """The factor that embeddings are multiplied by before positions are added."""
        return math.sqrt(self.text_embedding.embedding_dim)

    def predict(self, text: Packed, memory: Packed) -> Tensor:
        """Predict the tokens of a known text and its end (teacher forcing).

        Args:
            text: int64 (total_tokens,), the tokens of each clip, without "</s>".
            memory: encoded frames of each clip (total_frames, dim).

        Returns:
            Logits (total_tokens + clips, vocabulary): for each clip of its tokens, then of "</s>".
        """
        before = _with_room(text, 1)
        embedded = before.with_values(self.text_embedding(before.values) * self.scale)
        x = self.dropout(embedded.values + self.positions(embedded))
        return self.output(self.decoder(before.with_values(x), memory))

    def start(self, memory: Packed) -> DecoderState:
        """Return the state of one empty text for each clip of a memory (total_frames, dim)."""
        return self.decoder.start(memory)

    def step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Compute logits of the next tokens, and the new state, from the last tokens, int64 (rows,)."""
        place = torch.full_like(tokens, FIRST_ROW + state.steps)
        embedded = self.text_embedding(tokens) * self.scale + self.positions.at(place).to(self.text_embedding.weight)
        output, state = self.decoder.step(self.dropout(embedded), state)
        logits = self.output(output)
        logits[:, SPECIALS.index(PAD)] = -torch.inf  # never a token of a text
        return logits, state


def initialize(module: nn.Module, dim: int) -> None:
    """Initialize linear layers and embeddings as fairseq's Transformer does."""
    for each in module.modules():
        if isinstance(each, nn.Linear):
            nn.init.xavier_uniform_(each.weight)
            if each.bias is not None:
                nn.init.zeros_(each.bias)
        elif isinstance(each, nn.Embedding):
            nn.init.normal_(each.weight, std=dim**-0.5)


def with_end(tokens: Packed) -> Packed:
    """Return each clip (length,) with "</s>" after it."""
    return _with_room(tokens, 0)


def _with_room(tokens: Packed, before: int) -> Packed:
    """Return each clip with "</s>" after it, or before it if `before` is 1."""
    lengths = tokens.lengths + 1
    values = tokens.values.new_full((int(lengths.sum()),), SPECIALS.index(END))
    starts = lengths.cumsum(0) - lengths + before
    values[steps_at(starts, tokens.lengths).to(values.device)] = tokens.values
    return Packed(values, lengths)
