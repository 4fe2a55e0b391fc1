"""A back-off n-gram language model as tensors: histories are numbers, and back-off is a batched search."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class BackOffModel(ABC):
    """An n-gram model with back-off (Katz 1987): p(w | h) if hw is listed, otherwise b(h) p(w | h without its first).

    A *context* is a history that is worth remembering; context 0 is the empty one. A state is the contexts of the
    hypotheses, int64 (n,); equal states have equal futures.

    Attributes:
        words: by number, with `<s>`, `</s>` and `<unk>`.
        unknown: number of `<unk>`.
        begin: context at the beginning of a sentence.
        end: number of `</s>`.
    """

    words: Sequence[str]
    unknown: int
    begin: int
    end: int

    @property
    @abstractmethod
    def device(self) -> torch.device: ...

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each word."""
        return {word: number for number, word in enumerate(self.words)}

    def named(self, words: Sequence[str]) -> Self:
        """Return this model with other names of its words."""
        return replace(self, words=words)

    def start(self, count: int) -> Tensor:
        """Return the state of `count` hypotheses at the beginning of a sentence."""
        return torch.full((count,), self.begin, dtype=torch.int64, device=self.device)

    @abstractmethod
    def score(self, state: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-probability of each hypothesis' next word, float32 (n,), and the state after it."""

    def finish(self, state: Tensor) -> Tensor:
        """Return the log-probability that each sentence ends here, float32 (n,)."""
        return self.score(state, torch.full_like(state, self.end))[0]

    def to(self, device: torch.device | str) -> Self:
        """Return this model on a device."""
        tensors: dict[str, Any] = {
            name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **tensors)


@dataclass(frozen=True, eq=False)
class NgramModel(BackOffModel):
    """An n-gram model as five arrays.

    A context is an n-gram that another one continues, or that has a back-off weight. An *arc* is an n-gram: a context
    and a word. Arcs are sorted by context * len(words) + word, so that one binary search finds it; the first len(words)
    arcs are the unigrams.

    Attributes:
        order: length of the longest n-gram.
        arc_keys: int64 (arcs,), ascending.
        arc_log_probabilities: float32 (arcs,), natural logarithms.
        arc_contexts: int32 (arcs,), the context after the arc.
        back_offs: float32 (contexts,), natural logarithms.
        back_off_contexts: int32 (contexts,), the longest shorter context.
    """

    order: int
    arc_keys: Tensor
    arc_log_probabilities: Tensor
    arc_contexts: Tensor
    back_offs: Tensor
    back_off_contexts: Tensor

    @property
    def device(self) -> torch.device:
        return self.arc_keys.device

    def score(self, state: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        context, penalty = state, torch.zeros(state.shape, device=state.device)
        for _ in range(self.order - 1):
            keys = context * len(self.words) + words
            arcs = torch.searchsorted(self.arc_keys, keys).clamp_(max=len(self.arc_keys) - 1)
            missing = self.arc_keys[arcs] != keys
            penalty = torch.where(missing, penalty + self.back_offs[context], penalty)
            context = torch.where(missing, self.back_off_contexts[context].long(), context)
        # The last context is empty where nothing longer was found: a unigram, whose arc is the word.
        keys = context * len(self.words) + words
        arcs = torch.searchsorted(self.arc_keys, keys)
        return penalty + self.arc_log_probabilities[arcs], self.arc_contexts[arcs].long()

    def score_all(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-probability of every word, (n, words), and the states after them, (n, words)."""
        count = len(self.words)
        words = torch.arange(count, device=self.device).repeat(len(state))
        scores, after = self.score(state.repeat_interleave(count), words)
        return scores.view(-1, count), after.view(-1, count)
