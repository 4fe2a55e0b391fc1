"""Batches of labeled recordings, whole or cropped, determined by seed, step, rank and world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonant.audio.read import resample
from sonant.data import LengthSampler, WaveformStore
from sonant.errors import ConfigurationError
from sonant.layers.masking import SpanMasking
from sonant.layers.packed import Packed
from sonant.models import Backbone
from sonant.pretraining.batches import NumberedBatches, moved
from sonant.training.tasks.feature_cache import CachedStates
from sonant.training.tasks.targets import Target, target_of

PERCENT = 100  # speeds are rounded to it, as ratios of sampling rates


@dataclass(frozen=True, eq=False)
class LabeledBatch:
    """A batch of labeled recordings.

    Attributes:
        speech: waveforms (total_samples,); None if their states are known, and the head does not read it.
        targets: of the labels, by default units, int64 (total_units,).
        num_samples: of the waveforms.
        mask: bool (total_frames,), frames to hide; None for none.
        masked_channels: bool (batch, dim), channels to set to zero; None for none.
        states: of a frozen model (total_frames, states, dim), from a cache; None to compute them.
    """

    speech: Packed | None
    targets: Packed
    num_samples: int
    mask: Tensor | None = None
    masked_channels: Tensor | None = None
    states: Packed | None = None

    def to(self, device: torch.device | str) -> LabeledBatch:
        return moved(self, device)


@dataclass(frozen=True, kw_only=True)
class LabeledBatching:
    """Amount of speech in a batch.

    Attributes:
        batch_seconds: most audio in a batch, of recordings of similar length.
        max_seconds: longer recordings are left out, with a warning: a part of them would not have their label.
    """

    batch_seconds: float = 64.0
    max_seconds: float = 32.0

    def __post_init__(self) -> None:
        if self.max_seconds > self.batch_seconds:
            raise ConfigurationError(
                f"A batch of batching.batch_seconds={self.batch_seconds:g} cannot hold a recording of "
                f"batching.max_seconds={self.max_seconds:g}. Raise the one, or lower the other: longer recordings are "
                "left out."
            )


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Changes of the recordings during training; none by default.

    Attributes:
        crop_seconds: longer recordings are cropped to this at a random place in each epoch; 0: all are whole. Of cached
            states frames are cropped, whose context is the whole recording.
        speeds: one of these is drawn for each recording, which is resampled to become so many times as fast, with its
            pitch (0.9, 1.0, 1.1 in Kaldi's recipes).
        time_fraction: share of frames in masked spans, as in `SpanMasking`, which are replaced by the mask embedding.
        time_length: frames of such a span.
        channel_fraction: share of channels in masked spans, which are set to zero for a whole recording.
        channel_length: channels of such a span.
    """

    crop_seconds: float = 0.0
    speeds: tuple[float, ...] = (1.0,)
    time_fraction: float = 0.0
    time_length: int = 10
    channel_fraction: float = 0.0
    channel_length: int = 64

    def __post_init__(self) -> None:
        if self.crop_seconds < 0:
            raise ConfigurationError(f"crop_seconds={self.crop_seconds} was given; expected seconds, or 0 for none.")
        if not self.speeds or not all(0.5 <= speed <= 2 for speed in self.speeds):
            raise ConfigurationError(f"speeds={self.speeds} was given; expected factors from 0.5 to 2, such as 0.9.")

    @property
    def changes_states(self) -> bool:
        """True if the states of a recording differ from one epoch to the next."""
        return self.masks or any(speed != 1 for speed in self.speeds)

    @property
    def masks(self) -> bool:
        """True if anything is masked."""
        return self.time_fraction > 0 or self.channel_fraction > 0

    def changed_speed(self, waveform: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Resample a waveform by a factor that is drawn."""
        speed = round(PERCENT * self.speeds[int(rng.integers(len(self.speeds)))])
        return waveform if speed == PERCENT else resample(waveform, speed, PERCENT)

    def draw_masks(
        self, num_frames: Sequence[int], dim: int, rng: np.random.Generator
    ) -> tuple[Tensor | None, Tensor | None]:
        """Draw the masks of a batch: bool (total_frames,) or None, and bool (batch, dim) or None."""
        time = channels = None
        if self.masks:
            spans = SpanMasking(fraction=self.time_fraction, length=self.time_length) if self.time_fraction else None
            drawn = np.zeros(sum(num_frames), dtype=bool) if spans is None else spans.draw_batch(num_frames, rng)
            time = torch.from_numpy(drawn)
        if self.channel_fraction:
            spans = SpanMasking(fraction=self.channel_fraction, length=self.channel_length, min_spans=0)
            channels = torch.from_numpy(np.stack([spans.draw(dim, rng) for _ in num_frames]))
        return time, channels


class LabeledBatches(NumberedBatches):
    """Batches of whole recordings of similar length, with their labels.

    Args:
        waveforms: of all recordings.
        targets: of each recording.
        backbone: gives sampling rate, stride, receptive field and width.
        recordings: numbers of those to use.
        min_frames: least frames of each recording, whatever its speed; one for all of them by default.
        states: of the recordings, from a cache, in place of waveforms; they are not augmented.
        seed, rank, world: as in `NumberedBatches`.
    """

    def __init__(
        self,
        waveforms: WaveformStore,
        targets: Sequence[Target],
        backbone: Backbone,
        *,
        batching: LabeledBatching,
        recordings: Sequence[int],
        min_frames: Sequence[int] | None = None,
        augmentation: Augmentation = Augmentation(),
        states: CachedStates | None = None,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        used = np.isin(np.arange(len(waveforms)), recordings)
        sampler = sampler_of(
            np.where(used, waveforms.lengths, -1), backbone, batching=batching, augmentation=augmentation, seed=seed
        )
        super().__init__(sampler, seed=seed, rank=rank, world=world)
        self.waveforms, self.targets, self.augmentation, self.dim = waveforms, targets, augmentation, backbone.dim
        self.frame_rate, self.states = backbone.frame_rate, states
        self.min_frames = [1] * len(waveforms) if min_frames is None else min_frames
        least = max(self.min_frames[number] for number in recordings)
        cropped = sampler.num_frames(round(augmentation.crop_seconds * backbone.sampling_rate))
        if augmentation.crop_seconds and cropped < least:
            raise ConfigurationError(
                f"augmentation.crop_seconds={augmentation.crop_seconds:g} was given, which leaves {max(cropped, 0)} "
                f"frames; the task takes {least} or more."
            )

    def __getitem__(self, step: int) -> LabeledBatch:
        layout, rng = self.drawn(step)
        members = [member for member, _ in layout]
        if self.states is not None:
            states = Packed.pack(torch.from_numpy(self._states(member, length, rng)) for member, length in layout)
            targets = self._targets(members, states.sizes, [1.0] * len(members))
            return LabeledBatch(None, targets, sum(length for _, length in layout), states=states)
        clips = [self._clip(member, length, rng) for member, length in layout]
        frames = [self.sampler.num_frames(len(clip)) for clip in clips]
        speeds = [length / len(clip) for (_, length), clip in zip(layout, clips, strict=True)]
        targets = self._targets(members, frames, speeds)
        mask, channels = self.augmentation.draw_masks(frames, self.dim, rng)
        return LabeledBatch(
            Packed.pack(map(torch.from_numpy, clips)),
            targets,
            sum(map(len, clips)),
            mask,
            channels,
        )

    def _targets(self, members: Sequence[int], frames: Sequence[int], speeds: Sequence[float]) -> Packed:
        """Return the targets of recordings of so many frames, at these speeds."""
        return Packed.pack(
            target_of(self.targets[member], count, self.frame_rate / speed)
            for member, count, speed in zip(members, frames, speeds, strict=True)
        )

    def _states(self, member: int, length: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Return the states of as many frames as samples of this length have, at a random place."""
        assert self.states is not None
        return _cropped(self.states[member], self.sampler.num_frames(length), rng)

    def _clip(self, member: int, length: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Return a waveform or a part of it, at another speed unless that would leave too few frames of it."""
        clip = _cropped(self.waveforms[member], length, rng)
        changed = self.augmentation.changed_speed(clip, rng)
        return changed if self.sampler.num_frames(len(changed)) >= self.min_frames[member] else clip


def sampler_of(
    lengths: NDArray[np.int64],
    backbone: Backbone,
    *,
    batching: LabeledBatching,
    augmentation: Augmentation,
    seed: int,
) -> LengthSampler:
    """Return the sampler of recordings of these lengths, in samples; those of length -1 are left out."""
    longest = augmentation.crop_seconds or batching.max_seconds
    if augmentation.crop_seconds:
        lengths = np.minimum(lengths, round(longest * backbone.sampling_rate))
    return LengthSampler(
        lengths,
        budget=round(batching.batch_seconds * backbone.sampling_rate),
        max_length=round(longest * backbone.sampling_rate),
        stride=backbone.stride,
        receptive_field=backbone.receptive_field,
        seed=seed,
    )


def _cropped(steps: NDArray[np.float32], length: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return so many consecutive steps of (all steps, ...), drawn at random, or all if there are no more."""
    if len(steps) <= length:
        return steps
    start = int(rng.integers(len(steps) - length + 1))
    return steps[start : start + length]
