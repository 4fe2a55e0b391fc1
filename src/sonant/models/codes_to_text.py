"""Speech recognition from codes (arXiv 1910.05453, section 6): a Transformer from codes to subwords."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from sonant.layers.attention import SelfAttention
from sonant.layers.kernels.activations import Activation
from sonant.layers.packed import Packed
from sonant.layers.transformer import TransformerEncoder, TransformerLayer
from sonant.models.code_vocabulary import CodeVocabulary
from sonant.models.encoders import FeedForwardSettings, feed_forward
from sonant.models.token_decoder import TokenDecoder, TokenDecoderConfig, initialize, with_end


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
        _ = self.decoder  # which checks the sizes

    @property
    def decoder(self) -> TokenDecoderConfig:
        """The configuration of the decoder."""
        c = self
        return TokenDecoderConfig(
            vocabulary_size=c.text_vocabulary_size,
            dim=c.dim,
            num_layers=c.num_decoder_layers,
            num_heads=c.num_heads,
            feed_forward_dim=c.feed_forward_dim,
            pre_norm=c.pre_norm,
            activation=c.activation,
            share_output=c.share_output,
            dropout=c.dropout,
            attention_dropout=c.attention_dropout,
            activation_dropout=c.activation_dropout,
        )


class CodesToText(TokenDecoder):
    """Encoder of code tokens, decoder of subwords.

    As in translation models of fairseq, codes end with "</s>", and text begins and ends with it.
    """

    def __init__(self, config: CodesToTextConfig) -> None:
        super().__init__(config.decoder)
        self.config = config
        c = config

        def encoder_layer() -> TransformerLayer:
            attention = SelfAttention(c.dim, c.num_heads, dropout=c.attention_dropout)
            return TransformerLayer(
                c.dim, attention, feed_forward(c, c.activation), pre_norm=c.pre_norm, dropout=c.dropout
            )

        self.vocabulary = CodeVocabulary(c.code_vocabulary_size, c.num_codebooks, c.codebook_size)
        self.code_embedding = nn.Embedding(c.code_vocabulary_size, c.dim)
        self.encoder = TransformerEncoder(
            c.dim,
            c.num_encoder_layers,
            encoder_layer,
            self.positions,
            pre_norm=c.pre_norm,
            norm=c.pre_norm,
            dropout=c.dropout,
        )
        initialize(self.encoder, c.dim)
        initialize(self.code_embedding, c.dim)

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
        return self.predict(text, self.read(codes))
