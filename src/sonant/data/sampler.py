"""Samplers, which choose recordings and lengths of each batch: cropped to one size, or whole and of similar length."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sonant.errors import ConfigurationError

Fill = Literal["exact", "shortest"]
Layout = list[tuple[int, int]]  # number and crop length of each recording of a batch
LOOKAHEAD = 32  # recordings from which the last one of a batch is chosen


class BatchSampler(ABC):
    """Endless sequence of batch layouts, determined by seed and epoch.

    Args:
        lengths: of each recording, in samples (or tokens).
        budget: samples in a batch.
        max_length: longer recordings are cropped.
        min_length: shorter recordings are left out.
        stride, receptive_field: of the model, in samples.
        seed: of the order.

    Attributes:
        lengths: of each recording, at most `max_length`.
        members: numbers of the recordings that are long enough.
    """

    def __init__(
        self,
        lengths: Sequence[int] | NDArray[np.int64],
        *,
        budget: int,
        max_length: int,
        min_length: int = 0,
        stride: int = 1,
        receptive_field: int = 1,
        seed: int = 0,
    ) -> None:
        self.lengths = np.minimum(np.asarray(lengths, dtype=np.int64), max_length)
        self.members = np.flatnonzero(self.lengths >= max(min_length, receptive_field))
        self.budget, self.min_length, self.seed = budget, max(min_length, receptive_field), seed
        self.stride, self.receptive_field = stride, receptive_field
        if len(self.members) == 0:
            raise ConfigurationError(
                f"None of the {len(lengths)} recordings has {self.min_length} samples, the shortest length allowed."
            )
        if budget < max_length:
            raise ConfigurationError(f"A batch of {budget} samples cannot hold one recording of {max_length} samples.")
        self._starts = [0]  # number of the first batch of each epoch so far
        self._current: tuple[int, list[Layout]] = (-1, [])  # number and batches of the cached epoch

    def num_frames(self, length: int) -> int:
        """Number of frames of a clip of `length` samples."""
        return (length - self.receptive_field) // self.stride + 1

    @abstractmethod
    def epoch(self, number: int) -> list[Layout]:
        """Make the batches of an epoch, in which each recording occurs at most once."""

    def __getitem__(self, number: int) -> Layout:
        """Return a batch by its number, counted over all epochs."""
        while self._starts[-1] <= number:
            self._starts.append(self._starts[-1] + len(self._epoch(len(self._starts) - 1)))
        epoch = bisect_right(self._starts, number) - 1
        return self._epoch(epoch)[number - self._starts[epoch]]

    def by_length(self, rng: np.random.Generator) -> list[int]:
        """Return the recordings sorted by length with 10 % noise."""
        keys = self.lengths[self.members] * rng.uniform(0.9, 1.1, len(self.members))
        return self.members[np.argsort(keys, kind="stable")].tolist()

    def _epoch(self, number: int) -> list[Layout]:
        """Return the batches of an epoch; the last one is cached."""
        if self._current[0] != number:
            self._current = number, self.epoch(number)
        return self._current[1]


class PackingSampler(BatchSampler):
    """Batches of `budget // stride` frames: recordings in random order, the last one cropped to fill the batch.

    The last recording is the one, of the next LOOKAHEAD, that loses least by cropping. If less than `min_length` is
    left for it, recordings before it are cropped too, so that no crop is shorter; if there are too many short ones for
    that, all have at least an equal share. Recordings that do not fill a batch at the end of an epoch are left out.
    """

    def __init__(self, lengths: Sequence[int] | NDArray[np.int64], **more: int) -> None:
        super().__init__(lengths, **more)
        self.frames = (self.lengths - self.receptive_field) // self.stride + 1
        self.batch_frames = self.budget // self.stride
        if (total := int(self.frames[self.members].sum())) < self.batch_frames:
            raise ConfigurationError(
                f"The recordings have {total} frames in all, less than the {self.batch_frames} of one batch. Give more "
                "speech, or ask for smaller batches (batching.batch_seconds)."
            )

    def epoch(self, number: int) -> list[Layout]:
        order = np.random.default_rng([self.seed, number]).permutation(self.members)
        members, frames = order.tolist(), self.frames[order].tolist()
        batches: list[Layout] = []
        first = 0
        while True:
            last, rest = first, self.batch_frames
            while last < len(members) and frames[last] < rest:
                rest -= frames[last]
                last += 1
            if last == len(members):
                return batches
            near = [i for i in range(last, min(last + LOOKAHEAD, len(members))) if frames[i] >= rest]
            best = min(near, key=frames.__getitem__)
            for each in (members, frames):
                each[last], each[best] = each[best], each[last]
            crops = self._cropped([*frames[first:last], rest])
            batches.append([(members[first + i], self._samples(crop)) for i, crop in enumerate(crops)])
            first = last + 1

    def _samples(self, frames: int) -> int:
        return self.receptive_field + (frames - 1) * self.stride

    def _cropped(self, crops: list[int]) -> list[int]:
        """Lengthen a last crop that is too short, at the cost of those before it; the sum stays the same."""
        least = min(self.num_frames(self.min_length), self.batch_frames // len(crops))
        lacking = max(0, least - crops[-1])
        crops[-1] += lacking
        for i in range(len(crops) - 2, -1, -1):
            given = min(lacking, crops[i] - least)
            crops[i] -= given
            lacking -= given
        return crops


class BucketSampler(BatchSampler):
    """Batches of recordings of similar length (sorted with 10 % noise), cropped to the shortest, as in fairseq."""

    def epoch(self, number: int) -> list[Layout]:
        rng = np.random.default_rng([self.seed, number])
        batches: list[Layout] = []
        batch: list[int] = []
        shortest = 0
        for member in self.by_length(rng):
            length = int(self.lengths[member])
            if batch and min(shortest, length) * (len(batch) + 1) > self.budget:
                batches.append([(each, shortest) for each in batch])
                batch = []
            shortest = min(shortest, length) if batch else length
            batch.append(member)
        batches.append([(each, shortest) for each in batch])
        return [batches[i] for i in rng.permutation(len(batches))]


class LengthSampler(BatchSampler):
    """Batches of whole recordings of similar length (sorted with 10 % noise), which together fit the budget.

    Recordings longer than `max_length` are left out.
    """

    def __init__(self, lengths: Sequence[int] | NDArray[np.int64], *, max_length: int, **more: int) -> None:
        whole = np.asarray(lengths, dtype=np.int64)
        super().__init__(np.where(whole > max_length, -1, whole), max_length=max_length, **more)

    def epoch(self, number: int) -> list[Layout]:
        rng = np.random.default_rng([self.seed, number])
        batches: list[Layout] = [[]]
        size = 0
        for member in self.by_length(rng):
            length = int(self.lengths[member])
            if size + length > self.budget:
                batches.append([])
                size = 0
            batches[-1].append((member, length))
            size += length
        return [batches[i] for i in rng.permutation(len(batches))]


SAMPLERS: dict[Fill, type[BatchSampler]] = {"exact": PackingSampler, "shortest": BucketSampler}
