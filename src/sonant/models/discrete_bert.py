"""BERT on discretized speech (arXiv 1910.05453, section 4): a Transformer over the codes of a vq-wav2vec."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed, steps_at
from sonant.layers.token_positions import LearnedPositions
from sonant.models.backbone import Backbone, Encoded
from sonant.models.code_vocabulary import BEGIN, END, SPECIALS, CodeVocabulary
from sonant.models.encoders import EncoderSettings, transformer_encoder
from sonant.models.normalization import RecordingStatistics
from sonant.models.vq_wav2vec import TINY as TINY_TOKENIZER
from sonant.models.vq_wav2vec import VQWav2Vec, VQWav2VecConfig
from sonant.models.waveform_config import check_multiple


@dataclass(frozen=True, kw_only=True)
class DiscreteBERTConfig(EncoderSettings):
    """Sizes; the defaults are the published base model on k-means codes. In brackets: fairseq's name.

    Attributes:
        tokenizer: the vq-wav2vec that converts waveforms to codes; frozen.
        vocabulary_size: number of tuples of codes in the corpus, plus four special tokens and the mask.
        max_positions: largest number of tokens of a block, with special tokens.
    """

    tokenizer: VQWav2VecConfig = field(default_factory=lambda: VQWav2VecConfig(quantizer="kmeans"))
    vocabulary_size: int = 23_005  # approximate: 23k pairs of k-means codes in the paper; files have their own
    max_positions: int = 2048  # of the published checkpoint: fairseq issue 1929
    dim: int = 768  # encoder_embed_dim
    num_layers: int = 12
    num_heads: int = 12
    feed_forward_dim: int = 3072
    layer_norm_eps: float = 1e-5
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation_dropout: float = 0.0
    layerdrop: float = 0.0

    def __post_init__(self) -> None:
        check_multiple(self.dim, num_heads=self.num_heads)
        if self.vocabulary_size <= len(SPECIALS) + 1:
            raise ConfigurationError(
                f"vocabulary_size={self.vocabulary_size} leaves no room for codes beside {len(SPECIALS)} specials and "
                "the mask."
            )

    @property
    def sampling_rate(self) -> int:
        return self.tokenizer.sampling_rate

    @property
    def normalize(self) -> bool:
        """Return whether each waveform is normalized to zero mean and unit variance."""
        return self.tokenizer.normalize

    @property
    def normalize_epsilon(self) -> float:
        """The term added to the variance when waveforms are normalized."""
        return self.tokenizer.normalize_epsilon

    @property
    def receptive_field(self) -> int:
        """Samples of one frame."""
        return self.tokenizer.receptive_field

    @property
    def stride(self) -> int:
        """Samples from one frame to the next."""
        return self.tokenizer.stride


SMALL = DiscreteBERTConfig(dim=512, feed_forward_dim=2048, num_heads=8, dropout=0.05, attention_dropout=0.05)

# For the codes of `vq_wav2vec_tiny`; small enough for one CPU core.
TINY = DiscreteBERTConfig(
    tokenizer=TINY_TOKENIZER,
    max_positions=512,
    dim=192,
    num_layers=6,
    num_heads=4,
    feed_forward_dim=768,
    dropout=0.0,
    attention_dropout=0.0,
)


class DiscreteBERT(Backbone):
    """A BERT over tokens of codes, or over waveforms through the frozen `tokenizer`.

    A clip is put between "<s>" and "</s>" and cut into consecutive blocks of `max_positions` tokens, as published. A
    block attends only to itself, so that frames near the edges of a block have less context. The states of the special
    tokens are not returned.
    """

    config: DiscreteBERTConfig

    def __init__(self, config: DiscreteBERTConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        self.tokenizer = VQWav2Vec(c.tokenizer).requires_grad_(False)
        self.vocabulary = CodeVocabulary(c.vocabulary_size, c.tokenizer.num_codebooks, c.tokenizer.codebook_size)
        self.embedding = nn.Embedding(c.vocabulary_size, c.dim)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.encoder = transformer_encoder(c, LearnedPositions(c.max_positions, c.dim))
        self.head = TokenHead(c.dim, c.vocabulary_size, eps=c.layer_norm_eps)

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - torch's own signature
        """Set the training mode, except of the tokenizer, which is frozen."""
        super().train(mode)
        self.tokenizer.eval()
        return self

    @property
    def num_layers(self) -> int:
        """Current number of blocks of the encoder, from which some may have been removed."""
        return len(self.encoder.layers)

    def clip_statistics(self) -> RecordingStatistics | None:
        """Return empty statistics of a whole recording for the tokenizer, or None."""
        return self.tokenizer.clip_statistics()

    def codes(self, speech: Packed, *, statistics: Sequence[RecordingStatistics | None] | None = None) -> Packed:
        """Map waveforms (total_samples,) to the codes of each frame, int64 (total_frames, num_codebooks).

        Always in the precision of the weights, since rounding would change codes.
        """
        with torch.autocast(speech.values.device.type, enabled=False):
            return self.tokenizer.codes(speech, statistics=statistics)

    def tokens(self, speech: Packed, *, statistics: Sequence[RecordingStatistics | None] | None = None) -> Packed:
        """Map waveforms (total_samples,) to the token of each frame, int64 (total_frames,)."""
        codes = self.codes(speech, statistics=statistics)
        return codes.with_values(self.vocabulary.tokens(codes.values))

    def forward(
        self,
        speech: Packed,
        *,
        layers: Collection[int | str] | None = None,
        statistics: Sequence[RecordingStatistics | None] | None = None,
    ) -> Encoded:
        """Encode waveforms (total_samples,); see `Backbone.forward`."""
        return self.encode_tokens(self.tokens(speech, statistics=statistics), layers=layers)

    def encode_tokens(self, tokens: Packed, *, layers: Collection[int | str] | None = None) -> Encoded:
        """Encode tokens (total_frames,), without "<s>" and "</s>"; the other arguments are those of `forward`."""
        keep, last = self.wanted(layers)
        bracketed, places = _bracket(tokens)
        blocks = Packed(self.embedding(bracketed.values), self._block_lengths(bracketed.sizes))
        states, output = self.encoder(blocks, keep, last=last)
        return Encoded(
            {number: state[places] for number, state in states.items()},
            None if output is None else output[places],
            tokens.lengths,
            self.frame_rate,
        )

    def logits(self, states: Tensor) -> Tensor:
        """Return the logits of every token of the vocabulary, (rows, vocabulary), from outputs (rows, dim)."""
        return self.head(states, self.embedding.weight)

    def _block_lengths(self, lengths: list[int]) -> Tensor:
        longest = self.config.max_positions
        blocks = [min(longest, length - start) for length in lengths for start in range(0, length, longest)]
        return torch.tensor(blocks)


class TokenHead(nn.Module):
    """The token prediction head: linear, GELU, norm, product with the shared embeddings, bias."""

    def __init__(self, dim: int, vocabulary_size: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(dim, dim), nn.LayerNorm(dim, eps=eps)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def forward(self, states: Tensor, embeddings: Tensor) -> Tensor:
        """Compute logits (rows, vocabulary) of states (rows, dim) with embeddings (vocabulary, dim)."""
        return F.linear(self.norm(F.gelu(self.linear(states))), embeddings, self.bias)


def _bracket(tokens: Packed) -> tuple[Packed, Tensor]:
    """Put "<s>" before and "</s>" after each clip; return it, and the positions of its own tokens: int64 (total,)."""
    lengths = tokens.lengths + 2
    ends = lengths.cumsum(0)
    places = steps_at(ends - lengths + 1, tokens.lengths).to(tokens.values.device)
    values = tokens.values.new_full((int(ends[-1]),), SPECIALS.index(BEGIN))
    values[ends - 1] = SPECIALS.index(END)
    values[places] = tokens.values
    return Packed(values, lengths), places


def on_tokenizer(config: DiscreteBERTConfig, tokenizer: VQWav2Vec, codes: Tensor) -> DiscreteBERT:
    """Build a BERT with initial weights for the codes of a trained vq-wav2vec.

    Args:
        config: configuration; tokenizer and vocabulary size are filled in.
        tokenizer: the model whose weights are copied.
        codes: int64 (words, num_codebooks), the tuples of codes that get a token each.
    """
    size = len(SPECIALS) + len(codes) + 1
    model = DiscreteBERT(replace(config, tokenizer=tokenizer.config, vocabulary_size=size))
    model.tokenizer.load_state_dict(tokenizer.state_dict())
    model.vocabulary.codes[len(SPECIALS) : -1] = codes
    return model
