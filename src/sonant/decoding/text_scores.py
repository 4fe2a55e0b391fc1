"""Log-probabilities of whole texts by a Transformer language model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sonant.data.text_normalization import Normalization, normalize_text
from sonant.data.text_tokenizers import UNKNOWN, ByteLevelTokenizer, TextTokenizer
from sonant.decoding.perplexity import TextScore
from sonant.layers.packed import Packed
from sonant.models.transformer_lm import TransformerLM


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
                found[text] = _text_score(text, tokens[text], scores.double(), unknown)
        return [found[text] for text in normalized]


def _text_score(text: str, tokens: Sequence[int], scores: Tensor, unknown: int | None) -> TextScore:
    places = [place for place, token in enumerate(tokens) if token == unknown]
    return TextScore(
        text=text,
        num_words=len(text.split()),
        num_unknown=len(places),
        log_probability=float(scores.sum()),
        unknown_log_probability=float(scores[places].sum()),
        num_tokens=len(scores),
    )
