"""The protocol of language models in decoding: batched scores of the next word, in natural logarithms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor


class LanguageModelState(Protocol):
    """The histories of n hypotheses, on the model's device; a tensor (n,) of numbers is one.

    One that is not a tensor has a method `append(more)`, by which a beam search concatenates two states.
    """

    def __getitem__(self, rows: Tensor, /) -> Self:
        """Select hypotheses by a tensor of indices, int64 (m,): reordered, repeated or left out."""
        ...


State = TypeVar("State", bound=LanguageModelState)


class LanguageModel(Protocol[State]):
    """Probabilities of words after a history, for many hypotheses at once.

    All probabilities are natural logarithms, float32; words are numbers, the indices into `words`.
    """

    @property
    def words(self) -> Sequence[str]:
        """The words by number; for a model of characters or units, those. Special ones such as `<s>` are among them."""
        ...

    @property
    def unknown(self) -> int:
        """The number that stands for every word that is not among the words."""
        ...

    @property
    def device(self) -> torch.device: ...

    def start(self, count: int) -> State:
        """Return the state of `count` hypotheses at the beginning of a sentence."""
        ...

    def score(self, state: State, words: Tensor) -> tuple[Tensor, State]:
        """Return the log-probability of each hypothesis' next word, (n,), and the state after it.

        Args:
            state: of n hypotheses.
            words: int64 (n,).
        """
        ...

    def finish(self, state: State) -> Tensor:
        """Return the log-probability that each sentence ends here, (n,)."""
        ...

    def to(self, device: torch.device | str) -> Self:
        """Return this model on a device."""
        ...
