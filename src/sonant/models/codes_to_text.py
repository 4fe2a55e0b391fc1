"""Speech recognition from codes (arXiv 1910.05453, section 6): a Transformer from codes to subwords."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sonant.errors import ConfigurationError
from sonant.layers.attention import SelfAttention
from sonant.layers.decoder import Attention, DecoderLayer, DecoderState, TransformerDecoder
from sonant.layers.kernels.activations import Activation
from sonant.layers.packed import Packed, steps_at
from sonant.layers.token_positions import FIRST_ROW, SinusoidalPositions
from sonant.layers.transformer import TransformerEncoder, TransformerLayer
from sonant.models.code_vocabulary import END, PAD, SPECIALS, CodeVocabulary
from sonant.models.encoders import FeedForwardSettings, feed_forward


@dataclass(frozen=True, kw_only=True)
class CodesToTextConfig(FeedForwardSettings):
    """Sizes; the defaults are the big Transformer on 4,000 subwords. In brackets: fairseq's name.

    The paper gives the size and the 4k subwords; the rest are defaults of fairseq for its big Transformer.

    Attributes:
        code_vocabulary_size: number of tuples of codes in the corpus, plus four special tokens.
        num_codebooks, codebook_size: of the vq-wav2vec.
        text_vocabulary_size: number of subwords, plus four special tokens.
        share_output: whether the embeddings of the decoder are also its output layer.
    """

    code_vocabulary_size: int = 23_004
    num_codebooks: int = 2
    codebook_size: int = 320
    text_vocabulary_size: int = 4_004
    dim: int = 1024  # encoder_embed_dim, decoder_embed_dim
    num_encoder_layers: int = 6
    num_decoder_layers: int = 6
    num_heads: int = 16
    feed_forward_dim: int = 4096
    pre_norm: bool = False  # encoder_normalize_before, decoder_normalize_before
    activation: Activation = "relu"
    share_output: bool = False  # share_decoder_input_output_embed
    dropout: float = 0.3
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.dim % self.num_heads or self.dim % 2:
            raise ConfigurationError(f"dim={self.dim} must be even and a multiple of num_heads={self.num_heads}.")


class CodesToText(nn.Module):
    """Encoder of code tokens, decoder of subwords.

    As in translation models of fairseq, codes end with "</s>", and text begins and ends with it.
    """

    def __init__(self, config: CodesToTextConfig) -> None:
        super().__init__()
        self.config = config
        c = config

        def encoder_layer() -> TransformerLayer:
            attention = SelfAttention(c.dim, c.num_heads, dropout=c.attention_dropout)
            return TransformerLayer(
                c.dim, attention, feed_forward(c, c.activation), pre_norm=c.pre_norm, dropout=c.dropout
            )

        def decoder_layer() -> DecoderLayer:
            own, memory = (Attention(c.dim, c.num_heads, dropout=c.attention_dropout) for _ in range(2))
            return DecoderLayer(
                c.dim, own, memory, feed_forward(c, c.activation), pre_norm=c.pre_norm, dropout=c.dropout
            )

        self.vocabulary = CodeVocabulary(c.code_vocabulary_size, c.num_codebooks, c.codebook_size)
        self.code_embedding = nn.Embedding(c.code_vocabulary_size, c.dim)
        self.text_embedding = nn.Embedding(c.text_vocabulary_size, c.dim)
        self.positions = SinusoidalPositions(c.dim)
        self.encoder = TransformerEncoder(
            c.dim,
            c.num_encoder_layers,
            encoder_layer,
            self.positions,
            pre_norm=c.pre_norm,
            norm=c.pre_norm,
            dropout=c.dropout,
        )
        self.decoder = TransformerDecoder(c.dim, c.num_decoder_layers, decoder_layer, pre_norm=c.pre_norm)
        self.output = nn.Linear(c.dim, c.text_vocabulary_size, bias=False)
        self.dropout = nn.Dropout(c.dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=c.dim**-0.5)
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
        return math.sqrt(self.config.dim)

    def read(self, codes: Packed) -> Packed:
        """Encode codes (total_frames, num_codebooks) to the memory of the decoder (total_frames + clips, dim)."""
        tokens = with_end(codes.with_values(self.vocabulary.tokens(codes.values)))
        embedded = tokens.with_values(self.code_embedding(tokens.values) * self.scale)
        _, memory = self.encoder(embedded, (), last=True)
        assert memory is not None
        return tokens.with_values(memory)

    def forward(self, codes: Packed, text: Packed) -> Tensor:
        """Predict the subwords of a known text and its end (teacher forcing).

        Args:
            codes: int64 (total_frames, num_codebooks).
            text: int64 (total_subwords,), the subwords of each clip, without "</s>".

        Returns:
            Logits (total_subwords + clips, text_vocabulary): for each clip of its subwords, then of "</s>".
        """
        before = _with_room(text, 1)
        embedded = before.with_values(self.text_embedding(before.values) * self.scale)
        x = self.dropout(embedded.values + self.positions(embedded))
        return self.output(self.decoder(before.with_values(x), self.read(codes)))

    def start(self, memory: Tensor) -> DecoderState:
        """Return the state of an empty text over the memory of one clip (frames, dim)."""
        return self.decoder.start(memory)

    def step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Compute logits of the next subword, and the new state, from the last subwords, int64 (rows,)."""
        place = torch.full_like(tokens, FIRST_ROW + state.steps)
        embedded = self.text_embedding(tokens) * self.scale + self.positions.at(place).to(self.text_embedding.weight)
        output, state = self.decoder.step(self.dropout(embedded), state)
        logits = self.output(output)
        logits[:, SPECIALS.index(PAD)] = -torch.inf  # never a subword
        return logits, state


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
