"""Causal Transformer language model: the probability of each token of a text, given those before it.

The architecture is that of GPT-2 (pre-norm, learned positions, output tied to the embeddings).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.errors import ConfigurationError
from sonant.layers.decoder import DecoderLayer, TransformerDecoder
from sonant.layers.decoder_attention import Attention
from sonant.layers.kernels.activations import Activation
from sonant.layers.packed import Packed, steps_at
from sonant.models.encoders import FeedForwardSettings, feed_forward

ROWS = 1024  # tokens whose logits are computed at a time, where no gradient is needed


@dataclass(frozen=True, kw_only=True)
class TransformerLMConfig(FeedForwardSettings):
    """Sizes of a language model; the defaults are small enough to be trained on a CPU in minutes.

    Attributes:
        vocabulary_size: number of tokens; a training sets it from its tokenizer.
        max_positions: largest number of tokens that the model sees at a time.
        begin, end: tokens before and after each text.
    """

    vocabulary_size: int = 50_257
    max_positions: int = 512
    dim: int = 256
    num_layers: int = 4
    num_heads: int = 4
    feed_forward_dim: int = 1024
    activation: Activation = "gelu_tanh"
    layer_norm_eps: float = 1e-5
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation_dropout: float = 0.0
    begin: int = 0
    end: int = 2

    def __post_init__(self) -> None:
        if self.dim % self.num_heads:
            raise ConfigurationError(f"dim={self.dim} must be a multiple of num_heads={self.num_heads}.")
        if not 0 <= min(self.begin, self.end) <= max(self.begin, self.end) < self.vocabulary_size:
            raise ConfigurationError(
                f"begin={self.begin} and end={self.end} must be tokens of the vocabulary, below {self.vocabulary_size}."
            )
        if self.max_positions < 2:
            raise ConfigurationError(f"max_positions={self.max_positions} was given; expected 2 or more.")


# Of the Transformer language model of wav2vec 2.0 (arXiv 2006.11477, section 4.3).
PAPER = TransformerLMConfig(dim=1280, num_layers=20, num_heads=16, feed_forward_dim=6144)


class TransformerLM(nn.Module):
    """A causal language model over packed sequences of tokens."""

    def __init__(self, config: TransformerLMConfig) -> None:
        super().__init__()
        self.config = c = config

        def layer() -> DecoderLayer:
            return DecoderLayer(
                c.dim,
                Attention(c.dim, c.num_heads, dropout=c.attention_dropout),
                None,
                feed_forward(c, c.activation),
                pre_norm=True,
                dropout=c.dropout,
                eps=c.layer_norm_eps,
            )

        self.embedding = nn.Embedding(c.vocabulary_size, c.dim)
        self.positions = nn.Embedding(c.max_positions, c.dim)
        self.decoder = TransformerDecoder(c.dim, c.num_layers, layer, pre_norm=True, eps=c.layer_norm_eps)
        self.dropout = nn.Dropout(c.dropout)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                into_residual = name.endswith(("attention.output.weight", "outer.weight"))
                nn.init.normal_(parameter, std=0.02 / (2 * c.num_layers) ** 0.5 if into_residual else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Packed) -> Tensor:
        """Compute states (total, dim) from tokens, int64 (total,), of sequences of at most `max_positions`."""
        places = steps_at(torch.zeros_like(tokens.lengths), tokens.lengths).to(tokens.values.device)
        return self.decoder(tokens.with_values(self.embedded(tokens.values, places)))

    def embedded(self, tokens: Tensor, places: Tensor) -> Tensor:
        """Return the input of the layers, (..., dim), for tokens at these positions, int64 (...)."""
        return self.dropout(self.embedding(tokens) + self.positions(places))

    def logits(self, states: Tensor) -> Tensor:
        """Return the logits of the next token, (..., vocabulary), from states (..., dim)."""
        return F.linear(states, self.embedding.weight)

    @torch.inference_mode()
    def log_probabilities(self, texts: Packed) -> Packed:
        """Compute the natural log-probability of each token of each text, and of its end.

        A text longer than `max_positions` is seen in windows, see `windows`.

        Args:
            texts: tokens without begin and end, int64 (total,).

        Returns:
            float32 (total + texts,): for each text those of its tokens, then that of its end.
        """
        sequences = [self.bracketed(text) for text in texts]
        parts = [
            (number, *window)
            for number, sequence in enumerate(sequences)
            for window in windows(len(sequence) - 1, self.config.max_positions)
        ]
        parts.sort(key=lambda part: part[3] - part[1])
        inputs = Packed.pack(sequences[number][start:end] for number, start, _, end in parts)
        targets = torch.cat([sequences[number][start + 1 : end + 1] for number, start, _, end in parts])
        states = self(inputs)
        scores = torch.cat(
            [
                -F.cross_entropy(self.logits(some).float(), wanted, reduction="none")
                for some, wanted in zip(states.split(ROWS), targets.split(ROWS), strict=True)
            ]
        )
        results = [torch.empty(len(each) - 1, device=scores.device) for each in sequences]
        for (number, start, first, end), values in zip(parts, scores.split(inputs.sizes), strict=True):
            results[number][first:end] = values[first - start :]
        return Packed.pack(results)

    def bracketed(self, text: Tensor) -> Tensor:
        """Put begin and end around the tokens of a text, int64 (length,)."""
        return F.pad(F.pad(text, (1, 0), value=self.config.begin), (0, 1), value=self.config.end)


def windows(length: int, longest: int) -> Iterator[tuple[int, int, int]]:
    """Yield windows of at most `longest` steps that cover a sequence: start, first step to score, end.

    A window begins half a window after the one before it, so that every step but those of the first window is scored
    with at least half a window of context.
    """
    stride = (longest + 1) // 2
    start, first = 0, 0
    while first < length:
        end = min(start + longest, length)
        yield start, first, end
        start, first = start + stride, end
