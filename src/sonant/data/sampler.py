"""The recordings of each batch, and how much of each: packed to fill the batch exactly, or of similar length."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sonant.errors import ConfigurationError

Fill = Literal["exact", "shortest"]
Layout = list[tuple[int, int]]  # of a batch: a recording, and the length to crop it to
LOOKAHEAD = 32  # recordings among which the last of a batch is chosen


class BatchSampler(ABC):
    """Batches of an endless sequence of epochs; their order is a function of seed and epoch, so resuming is free.

    The batches of the current epoch are kept, and of those before it their number.

    Args:
        lengths: of each recording, in samples (or in tokens).
        budget: samples a batch.
        max_length: longer recordings are cropped.
        min_length: shorter recordings are left out.
        stride, receptive_field: samples from one frame of the model to the next, and samples that a frame sees.
        seed: of the order.

    Attributes:
        lengths: of each recording, at most `max_length`.
        members: the recordings that are long enough.
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
        self._starts = [0]  # the number of the first batch of each epoch that was laid out so far
        self._current: tuple[int, list[Layout]] = (-1, [])

    def num_frames(self, length: int) -> int:
        """Frames of a clip of so many samples."""
        return (length - self.receptive_field) // self.stride + 1

    @abstractmethod
    def epoch(self, number: int) -> list[Layout]:
        """The batches of one epoch, in which no recording comes twice."""

    def __getitem__(self, number: int) -> Layout:
        """One batch of all epochs, which follow one another without end."""
        while self._starts[-1] <= number:
            self._starts.append(self._starts[-1] + len(self._epoch(len(self._starts) - 1)))
        epoch = bisect_right(self._starts, number) - 1
        return self._epoch(epoch)[number - self._starts[epoch]]

    def _epoch(self, number: int) -> list[Layout]:
        """The batches of one epoch; those of the one asked for last are kept."""
        if self._current[0] != number:
            self._current = number, self.epoch(number)
        return self._current[1]


class PackingSampler(BatchSampler):
    """Batches of one number of frames: recordings in random order, the last one cropped to what is left.

    A batch has as many frames as the budget has strides, and no recording gives samples that are in no frame. The last
    recording is the one of the next few that loses least. Where less than `min_length` is left for it, those before it
    are cropped instead, so that no crop is shorter; only where so many short recordings share a batch that each cannot
    have `min_length`, they share it evenly. Recordings at the end of an epoch that do not fill a batch are left out of
    that epoch.
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
        """Crops of the same sum of which none is too short: the last takes what it lacks from those before it."""
        least = min(self.num_frames(self.min_length), self.batch_frames // len(crops))
        lacking = max(0, least - crops[-1])
        crops[-1] += lacking
        for i in range(len(crops) - 2, -1, -1):
            given = min(lacking, crops[i] - least)
            crops[i] -= given
            lacking -= given
        return crops


class BucketSampler(BatchSampler):
    """Batches of recordings of similar length, all cropped to the shortest, as fairseq composes them.

    They hold at most the budget. In the sorting a recording may stray by a tenth of its length.
    """

    def epoch(self, number: int) -> list[Layout]:
        rng = np.random.default_rng([self.seed, number])
        keys = self.lengths[self.members] * rng.uniform(0.9, 1.1, len(self.members))
        batches: list[Layout] = []
        batch: list[int] = []
        shortest = 0
        for member in self.members[np.argsort(keys, kind="stable")].tolist():
            length = int(self.lengths[member])
            if batch and min(shortest, length) * (len(batch) + 1) > self.budget:
                batches.append([(each, shortest) for each in batch])
                batch = []
            shortest = min(shortest, length) if batch else length
            batch.append(member)
        batches.append([(each, shortest) for each in batch])
        return [batches[i] for i in rng.permutation(len(batches))]


SAMPLERS: dict[Fill, type[BatchSampler]] = {"exact": PackingSampler, "shortest": BucketSampler}
