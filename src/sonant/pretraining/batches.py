"""Batches of cropped, reverberated, mixed and masked waveforms, determined by seed, step, rank and world."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from math import ceil
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonant.audio.augment import Mixing, Waveforms, mix_utterances, reverberate
from sonant.data import SAMPLERS, BatchSampler, Fill, LabelStore, WaveformStore
from sonant.data.sampler import Layout
from sonant.errors import ConfigurationError
from sonant.layers.masking import SpanMasking
from sonant.layers.packed import Packed
from sonant.models import Backbone

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class SpeechBatch:
    """A batch of speech.

    Attributes:
        speech: augmented waveforms (total_samples,).
        mask: bool (total_frames,), True for masked frames; all False for objectives without masking.
        targets: int64 (total_frames,), labels of the frames of the clean speech; None without labels.
        masked, unmasked: int64 indices of frames. Made on the CPU, since `output[mask]` makes a GPU synchronize.
        masked_on_cpu: the same as `masked`, always on the CPU.
    """

    speech: Packed
    mask: Tensor
    targets: Tensor | None = None
    masked: Tensor = field(init=False)
    unmasked: Tensor = field(init=False)
    masked_on_cpu: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "masked", self.mask.nonzero().flatten())
        object.__setattr__(self, "unmasked", (~self.mask).nonzero().flatten())
        object.__setattr__(self, "masked_on_cpu", self.masked.cpu().numpy())

    def to(self, device: torch.device | str) -> SpeechBatch:
        return moved(self, device)

    @property
    def num_samples(self) -> int:
        return len(self.speech.values)

    @property
    def clip_samples(self) -> list[int]:
        """Number of samples of each clip."""
        return self.speech.sizes


def moved(batch: T, device: torch.device | str) -> T:
    """Copy of a batch (a dataclass) with its tensors and packed tensors on a device."""
    result = copy.copy(batch)
    for each in fields(batch):  # type: ignore[arg-type]  # no type says "any dataclass"
        if isinstance(value := getattr(batch, each.name), Tensor | Packed):
            object.__setattr__(result, each.name, value.to(device))
    return result


@dataclass(frozen=True, kw_only=True)
class Batching:
    """Amount of speech in a batch, and its augmentation.

    Attributes:
        batch_seconds: most audio in a batch.
        max_seconds: longer clips are cropped at a random place in each epoch.
        min_seconds: shorter clips are left out.
        reverb_probability: share of clips convolved with an impulse response.
        fill: "exact" packs clips of any length and crops the last one, so that all batches have the same number of
            frames; "shortest" crops clips of similar length to the shortest one, as fairseq does.
    """

    batch_seconds: float = 87.5
    max_seconds: float = 15.625
    min_seconds: float = 2.0
    reverb_probability: float = 0.0
    fill: Fill = "exact"

    def sampler(
        self,
        lengths: NDArray[np.int64],
        rate: float,
        *,
        recordings: Sequence[int] | None = None,
        stride: int = 1,
        receptive_field: int = 1,
        seed: int = 0,
    ) -> BatchSampler:
        """Make the sampler for recordings of these lengths at `rate` samples a second; `recordings=None` takes all."""
        if recordings is not None:
            lengths = np.where(np.isin(np.arange(len(lengths)), recordings), lengths, -1)  # -1: too short, left out
        return SAMPLERS[self.fill](
            lengths,
            budget=round(self.batch_seconds * rate),
            max_length=round(self.max_seconds * rate),
            min_length=round(self.min_seconds * rate),
            stride=stride,
            receptive_field=receptive_field,
            seed=seed,
        )


class NumberedBatches:
    """Endless sequence of batches: `batches[step]` depends on seed, step, rank and world alone.

    It can be pickled for the workers of a `torch.utils.data.DataLoader`.

    Args:
        sampler: chooses the recordings of each batch.
        seed: of order and augmentation.
        rank, world: number of this process, and number of processes; they get disjoint batches.
    """

    def __init__(self, sampler: BatchSampler, *, seed: int, rank: int, world: int) -> None:
        if not 0 <= rank < world:
            raise ConfigurationError(f"rank={rank} and world={world} were given; expected 0 <= rank < world.")
        self.sampler, self.seed, self.rank, self.world = sampler, seed, rank, world

    def __len__(self) -> int:
        """Batches of this process in one epoch; later steps continue with the next epoch."""
        return ceil(len(self.sampler.epoch(0)) / self.world)

    def drawn(self, step: int) -> tuple[Layout, np.random.Generator]:
        """The recordings of a batch with their lengths, and the generator of its random numbers."""
        number = step * self.world + self.rank
        return self.sampler[number], np.random.default_rng([self.seed, 1 + number])


class SpeechBatches(NumberedBatches):
    """Batches of speech; crops start at a multiple of the frame stride, so that their labels are a slice of labels.

    Args:
        backbone: gives sampling rate, stride and receptive field.
        masking: None masks nothing.
        mixing: None mixes nothing.
        labels: of every frame of every recording; None for batches without targets.
        noises, impulse_responses: waveforms for mixing and reverberation.
        recordings: numbers of the recordings to use; None for all.
        seed, rank, world: as in `NumberedBatches`.
    """

    def __init__(
        self,
        waveforms: WaveformStore,
        backbone: Backbone,
        *,
        batching: Batching,
        masking: SpanMasking | None = None,
        mixing: Mixing | None = None,
        labels: LabelStore | None = None,
        noises: Waveforms = (),
        impulse_responses: Waveforms = (),
        recordings: Sequence[int] | None = None,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if labels is not None and len(labels) != len(waveforms):
            raise ConfigurationError(f"There are labels for {len(labels)} recordings, but {len(waveforms)} waveforms.")
        if batching.reverb_probability > 0 and not impulse_responses:
            raise ConfigurationError("reverb_probability is above 0, but no impulse responses were given.")
        sampler = batching.sampler(
            waveforms.lengths,
            backbone.sampling_rate,
            recordings=recordings,
            stride=backbone.stride,
            receptive_field=backbone.receptive_field,
            seed=seed,
        )
        if labels is not None:
            lengths = waveforms.lengths[sampler.members]
            frames = (lengths - sampler.receptive_field) // sampler.stride + 1
            _check_rate(labels.lengths[sampler.members], frames, sampler.stride)
        super().__init__(sampler, seed=seed, rank=rank, world=world)
        self.waveforms, self.labels, self.noises, self.impulse_responses = waveforms, labels, noises, impulse_responses
        self.batching, self.masking, self.mixing = batching, masking, mixing

    def __getitem__(self, step: int) -> SpeechBatch:
        layout, rng = self.drawn(step)
        stride, frames = self.sampler.stride, [self.sampler.num_frames(length) for _, length in layout]
        crops, targets = [], []
        for (member, length), num_frames in zip(layout, frames, strict=True):
            first = int(rng.integers((int(self.waveforms.lengths[member]) - length) // stride + 1))
            crop = self.waveforms.crop(member, first * stride, length)
            if rng.random() < self.batching.reverb_probability:
                crop = reverberate(crop, self.impulse_responses[int(rng.integers(len(self.impulse_responses)))])
            crops.append(crop)
            if self.labels is not None:
                targets.append(self.labels[member][first : first + num_frames])
        if self.mixing is not None:
            crops = mix_utterances(crops, self.mixing, rng, noises=self.noises)
        mask = np.zeros(sum(frames), dtype=bool)
        if self.masking is not None:
            mask = self.masking.draw_batch(frames, rng)
        return SpeechBatch(
            Packed.pack(map(torch.from_numpy, crops)),
            torch.from_numpy(mask),
            torch.from_numpy(np.concatenate(targets).astype(np.int64)) if targets else None,
        )


def _check_rate(labels: NDArray[np.int64], frames: NDArray[np.int64], stride: int) -> None:
    """Raise ConfigurationError if recordings have more or fewer labels than frames, but for one at the end."""
    if (wrong := np.abs(labels - frames) > 1).any():
        first = int(wrong.argmax())
        raise ConfigurationError(
            f"There are {labels[first]} labels for a recording of which the model makes {frames[first]} frames, one in "
            f"{stride} samples. Labels of MFCC and of random projections come every 320 samples, those of a layer at "
            "the rate of its model: give the model such a stride (model.conv_strides), or take other targets."
        )
