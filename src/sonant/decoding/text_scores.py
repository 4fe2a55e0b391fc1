"""Log-probabilities of whole texts by a Transformer language model, and perplexities."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch

from sonant.data.text_normalization import Normalization, normalize_text
from sonant.data.text_tokenizers import UNKNOWN, ByteLevelTokenizer, TextTokenizer
from sonant.layers.packed import Packed
from sonant.models.transformer_lm import TransformerLM


class TextScore(NamedTuple):
    """Score of one text.

    Attributes:
        log_probability: natural logarithm, with that of its end.
        num_tokens: with the end.
        num_words: without the end.
        num_unknown: tokens that stand for what the model has no token for.
    """

    log_probability: float
    num_tokens: int
    num_words: int
    num_unknown: int


class TextScorer:
    """A language model that scores whole texts, in batches of similar lengths; a score does not depend on the batch.

    Args:
        model: in evaluation mode, on its device.
        tokenizer: of the model.
        normalization: applied to each text, so that it has the form of those that the model was trained on.
        batch_tokens: approximate number of tokens in a batch.
    """

    def __init__(
        self,
        model: TransformerLM,
        tokenizer: TextTokenizer,
        *,
        normalization: Normalization = "none",
        batch_tokens: int = 8192,
    ) -> None:
        self.model, self.tokenizer, self.normalization = model, tokenizer, normalization
        self.batch_tokens = batch_tokens

    def score(self, texts: Sequence[str]) -> list[TextScore]:
        """Score texts, in their order; equal ones are computed once."""
        normalized = [normalize_text(text, self.normalization) for text in texts]
        tokens = {text: self.tokenizer.encode(text) for text in dict.fromkeys(normalized)}
        unknown = None if isinstance(self.tokenizer, ByteLevelTokenizer) else UNKNOWN
        found: dict[str, TextScore] = {}
        device = self.model.embedding.weight.device
        pending = sorted(tokens, key=lambda text: len(tokens[text]))
        while pending:
            count = max(1, self.batch_tokens // (len(tokens[pending[-1]]) + 1))
            some, pending = pending[-count:], pending[:-count]
            batch = Packed.pack(torch.tensor(tokens[text], dtype=torch.long) for text in some).to(device)
            for text, scores in zip(some, self.model.log_probabilities(batch).to("cpu"), strict=True):
                found[text] = TextScore(
                    float(scores.double().sum()),
                    len(scores),
                    len(text.split()),
                    tokens[text].count(unknown) if unknown is not None else 0,
                )
        return [found[text] for text in normalized]


class Perplexity(NamedTuple):
    """Perplexities of texts: by words, each text's end counted as one, and by tokens of the model.

    Attributes:
        num_unknown: tokens that stand for what the model has no token for. Models with other vocabularies can be
            compared by words if there are none.
    """

    per_word: float
    per_token: float
    num_texts: int
    num_words: int
    num_tokens: int
    num_unknown: int


def perplexity(scores: Iterable[TextScore]) -> Perplexity:
    """Return the perplexities of texts, given their scores."""
    total, num_texts, num_words, num_tokens, num_unknown = 0.0, 0, 0, 0, 0
    for score in scores:
        total += score.log_probability
        num_texts += 1
        num_words += score.num_words
        num_tokens += score.num_tokens
        num_unknown += score.num_unknown
    per_word = math.exp(-total / max(1, num_words + num_texts))
    return Perplexity(per_word, math.exp(-total / max(1, num_tokens)), num_texts, num_words, num_tokens, num_unknown)
