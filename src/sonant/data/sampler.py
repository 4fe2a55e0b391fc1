"""Batches of recordings of similar length, up to a budget of audio."""

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from sonant.errors import ConfigurationError


class BatchSampler:
    """Batches of recordings of similar length; their order is a function of seed and epoch alone, so resuming is free.

    Args:
        lengths: of each recording, in samples.
        budget: samples a batch, counted as recordings times the shortest of them.
        max_length: longer recordings are cropped, so they count as this long.
        min_length: shorter recordings are left out.
        seed: of the order.
        jitter: how far, as a share of its length, a recording may stray in the sorting.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        budget: int,
        max_length: int,
        min_length: int = 0,
        seed: int = 0,
        jitter: float = 0.1,
    ) -> None:
        self.lengths = np.minimum(np.asarray(lengths, dtype=np.int64), max_length)
        self.members = np.flatnonzero(np.asarray(lengths) >= min_length)
        self.budget, self.seed, self.jitter = budget, seed, jitter
        self._starts = [0]  # the number of the first batch of each epoch that was laid out so far
        self._current: tuple[int, list[list[int]]] = (-1, [])
        if len(self.members) == 0:
            raise ConfigurationError(
                f"None of the {len(lengths)} recordings has {min_length} samples, the shortest length allowed."
            )
        if budget < max_length:
            raise ConfigurationError(f"A batch of {budget} samples cannot hold one recording of {max_length} samples.")

    def epoch(self, number: int) -> list[list[int]]:
        """The batches of one epoch: every recording once."""
        rng = np.random.default_rng([self.seed, number])
        keys = self.lengths[self.members] * rng.uniform(1 - self.jitter, 1 + self.jitter, len(self.members))
        batches: list[list[int]] = []
        batch: list[int] = []
        shortest = 0
        for member in self.members[np.argsort(keys, kind="stable")].tolist():
            shortest = min(shortest, int(self.lengths[member])) if batch else int(self.lengths[member])
            if batch and shortest * (len(batch) + 1) > self.budget:
                batches.append(batch)
                batch, shortest = [], int(self.lengths[member])
            batch.append(member)
        batches.append(batch)
        return [batches[i] for i in rng.permutation(len(batches))]

    def __getitem__(self, number: int) -> list[int]:
        """The recordings of one batch of all epochs, which follow one another without end."""
        while self._starts[-1] <= number:
            self._starts.append(self._starts[-1] + len(self._epoch(len(self._starts) - 1)))
        epoch = bisect_right(self._starts, number) - 1
        return self._epoch(epoch)[number - self._starts[epoch]]

    def _epoch(self, number: int) -> list[list[int]]:
        """The batches of one epoch; those of the one asked for last are kept."""
        if self._current[0] != number:
            self._current = number, self.epoch(number)
        return self._current[1]
