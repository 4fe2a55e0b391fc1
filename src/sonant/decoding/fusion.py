"""Language model of a beam search: its states, each kept once for all hypotheses with the same history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sonant.decoding.language_model import LanguageModel

LOWEST = -1e30  # for a word of probability 0: a weight of 0 still makes 0 of it
POOL = 4  # states for each hypothesis, above which those that are no longer used are removed


class Fusion:
    """The states of a language model in one search. A hypothesis has the row of its state.

    Where the states are numbers, such as the contexts of n-grams, they are the rows.

    Attributes:
        start: row of the state before the first word.
    """

    def __init__(self, lm: LanguageModel[Any]) -> None:
        self._lm = lm
        first = lm.start(1)
        self._states: Any = None
        self.start, self.rows = 0, 1
        if isinstance(first, Tensor):
            self.start = int(first[0])
        else:
            self._states = first

    def score(self, rows: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-probability of a word after the history of each row, and the rows of the longer histories."""
        scores, states = self._lm.score(self._of(rows), words)
        scores = scores.clamp(min=LOWEST)
        if self._states is None:
            return scores, states
        self._states = self._states.append(states)
        first, self.rows = self.rows, self.rows + len(rows)
        return scores, torch.arange(first, self.rows, device=rows.device)

    def finish(self, rows: Tensor) -> Tensor:
        """Return the log-probability that the text of each row ends."""
        return self._lm.finish(self._of(rows)).clamp(min=LOWEST)

    def compact(self, rows: Sequence[Tensor]) -> list[Tensor]:
        """Forget the states of no row that is given, where they are many; return the new rows, in the same shapes."""
        sizes = [each.numel() for each in rows]
        if self._states is None or self.rows <= POOL * max(sum(sizes), 64):
            return list(rows)
        used, numbers = torch.cat([each.flatten() for each in rows]).unique(return_inverse=True)
        self._states, self.rows = self._states[used], len(used)
        return [new.view_as(each) for new, each in zip(numbers.split(sizes), rows, strict=True)]

    def _of(self, rows: Tensor) -> Any:
        return rows if self._states is None else self._states[rows]
