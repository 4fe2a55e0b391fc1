"""Packed batches: clips one behind another on one time axis, without padding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sonant.errors import ConfigurationError, TooShortAudio
from sonant.layers.kernels.device import to_device


@dataclass(frozen=True, eq=False)
class Packed:
    """A packed batch: clips one behind another, with their lengths.

    Attributes:
        values: (total, channels) for frames, (total,) for a waveform.
        lengths: int64 (batch,) on the CPU; frames or samples of each clip, `sum(lengths) == total`.
    """

    values: Tensor
    lengths: Tensor

    def __post_init__(self) -> None:
        if not isinstance(self.lengths, Tensor):
            raise ConfigurationError(
                f"The lengths of packed speech are a tensor of whole numbers, one a clip; got {self.lengths!r:.80}. "
                "Packed.pack([clip, ...]) measures them itself."
            )
        if int(self.lengths.sum()) != self.values.shape[0]:
            raise ConfigurationError(
                f"Packed speech of {self.values.shape[0]} steps was given lengths {self.lengths.tolist()}, "
                f"which add up to {int(self.lengths.sum())}. The lengths must add up to the first dimension."
            )

    @classmethod
    def pack(cls, clips: Iterable[Tensor]) -> Packed:
        """Concatenate clips of shape (length,) or (length, channels)."""
        clips = list(clips)
        if not clips:
            raise ConfigurationError("Nothing to pack: at least one clip is needed.")
        if wrong := [type(clip).__name__ for clip in clips if not isinstance(clip, Tensor)]:
            raise ConfigurationError(
                f"Clips are tensors (length,) or (length, channels); got {', '.join(wrong[:3])}. Make tensors of "
                "arrays with torch.from_numpy; recordings in files are for `encoder.encode`."
            )
        return cls(torch.cat(clips), torch.tensor([len(clip) for clip in clips]))

    @classmethod
    def from_padded(cls, values: Tensor, lengths: Tensor | Sequence[int]) -> Packed:
        """Pack a padded batch: values (batch, time, ...) with the true length of each row."""
        wanted = [int(length) for length in lengths]
        if len(wanted) != len(values) or min(wanted, default=0) < 0 or max(wanted, default=0) > values.shape[1]:
            raise ConfigurationError(
                f"Values of shape {tuple(values.shape)} and lengths {wanted} do not fit: expected a length for each "
                f"row, from 0 to {values.shape[1]} steps. Those of an attention mask are mask.sum(1)."
            )
        return cls.pack(row[:length] for row, length in zip(values, wanted, strict=True))

    def unpack(self) -> list[Tensor]:
        """Return the clips as views, each (length, ...)."""
        return list(self.values.split(self.sizes))

    def to_padded(self) -> tuple[Tensor, Tensor]:
        """Return the padded form: values (batch, longest, ...) with zeros after each clip, and lengths (batch,)."""
        return torch.nn.utils.rnn.pad_sequence(self.unpack(), batch_first=True), self.lengths

    def with_values(self, values: Tensor) -> Packed:
        """Return a batch of the same lengths with other values."""
        return Packed(values, self.lengths)

    def to(self, device: torch.device | str) -> Packed:
        """Return the same clips on a device; the lengths stay on the CPU."""
        return Packed(self.values.to(device), self.lengths)

    @cached_property
    def sizes(self) -> list[int]:
        """The lengths as Python integers."""
        return self.lengths.tolist()

    @property
    def longest(self) -> int:
        """The length of the longest clip."""
        return max(self.sizes)

    @cached_property
    def offsets(self) -> Tensor:
        """int64 (batch + 1,): clip i is values[offsets[i] : offsets[i + 1]]."""
        return torch.nn.functional.pad(self.lengths.cumsum(0), (1, 0))

    def padded_offsets(self, multiple: int) -> Tensor:
        """The offsets on the device of the values, with empty clips at the end up to a multiple of `multiple` clips."""
        offsets = torch.nn.functional.pad(self.offsets, (0, -len(self) % multiple), value=self.values.shape[0])
        return to_device(offsets, self.values.device)

    @cached_property
    def clip_of_step(self) -> Tensor:
        """The index of the clip of each step: int64 (total,), on the device of the values."""
        return to_device(torch.arange(len(self)).repeat_interleave(self.lengths), self.values.device)

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.unpack())


def steps_at(starts: Tensor, lengths: Tensor) -> Tensor:
    """Return the positions starts[i] ... starts[i] + lengths[i] - 1 of every clip i, concatenated: int64 (total,)."""
    ends = lengths.cumsum(0)
    return torch.arange(int(lengths.sum())) + (starts - (ends - lengths)).repeat_interleave(lengths)


def lay_with_gaps(frames: Packed, before: int, after: int = 0) -> tuple[Tensor, Tensor]:
    """Concatenate clips with zeros before, between and after them, as "same" padding of a convolution.

    Returns:
        The stream (steps, channels), with `before` zeros before the first clip, `after` after the last and the larger
        of both between two clips; and the position of each frame in the stream, int64 (total,).
    """
    gap = max(before, after)
    starts = before + frames.offsets[:-1] + torch.arange(len(frames)) * gap
    steps = to_device(steps_at(starts, frames.lengths), frames.values.device)
    stream = frames.values.new_zeros(int(starts[-1]) + frames.sizes[-1] + after, frames.values.shape[1])
    return stream.index_copy(0, steps, frames.values), steps


def require_steps(sizes: Sequence[int], least: int, what: str, *, unit: str = "frames") -> None:
    """Raise TooShortAudio if a clip has fewer frames or samples than `what` needs."""
    if min(sizes) < least:
        raise TooShortAudio(
            f"Clips of {list(sizes)} {unit} were given; {what} needs {least}. Leave out the shorter clips, or join "
            "them to their neighbors."
        )
