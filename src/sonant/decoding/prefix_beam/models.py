"""Models that a prefix beam search combines with emissions: words, hot words and a language model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sonant.decoding.language_model import LanguageModel
from sonant.decoding.prefix_beam.hot_words import HotWords
from sonant.decoding.prefix_beam.words import LexiconWords, OpenWords


@dataclass(frozen=True)
class CombinedModels:
    """All that is combined with emissions, on one device.

    Attributes:
        words: of which texts consist; None if nothing depends on words.
        hot: words that are preferred.
        lm: language model of words, or of units.
        lm_units: int64 (units,): the number of each unit in a language model of units; None for one of words.
    """

    words: OpenWords | LexiconWords | None = None
    hot: HotWords | None = None
    lm: LanguageModel[Any] | None = None
    lm_units: Tensor | None = None

    @property
    def lexicon(self) -> LexiconWords | None:
        """The words, if they are those of a lexicon."""
        return self.words if isinstance(self.words, LexiconWords) else None

    @property
    def open(self) -> OpenWords | None:
        """The words, if they may have any spelling."""
        return self.words if isinstance(self.words, OpenWords) else None

    @property
    def word_lm(self) -> LanguageModel[Any] | None:
        """The language model, if it is one of words."""
        return self.lm if self.lm_units is None else None

    @property
    def choices(self) -> int:
        """Number of words of a lexicon with one spelling, at most; 0 without a lexicon."""
        return 0 if self.lexicon is None else self.lexicon.trie.most

    def to(self, device: torch.device) -> CombinedModels:
        """Return the models on a device."""
        return replace(
            self,
            words=None if self.words is None else self.words.to(device),
            hot=None if self.hot is None else self.hot.to(device),
            lm=None if self.lm is None else self.lm.to(device),
            lm_units=None if self.lm_units is None else self.lm_units.to(device),
        )
