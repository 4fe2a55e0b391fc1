"""Sources of recordings, read whole or in blocks."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from numbers import Real
from os import PathLike, fsdecode
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from torch import Tensor

from sonant import audio
from sonant.audio import Channel, Segment
from sonant.audio.formats.file_objects import can_seek, read_all
from sonant.audio.input_forms import is_pair, unwrap
from sonant.data.entries import ManifestEntry, part_name
from sonant.errors import AudioError, ConfigurationError, MissingExtra, UndecodableAudio
from sonant.extraction.recording_warnings import attributed_to
from sonant.extraction.special_files import Unusable, is_pipe


class Source(Protocol):
    """A recording whose length is known before it is decoded."""

    @property
    def name(self) -> str: ...
    @property
    def number(self) -> int | None: ...
    @property
    def text(self) -> str | None: ...
    def seconds(self) -> float: ...
    def read(self) -> np.ndarray: ...
    def blocks(self) -> Iterator[np.ndarray]: ...


@dataclass(frozen=True)
class AudioSource:
    """A recording that `sonant.audio` can read, as float32 (samples,) at the model's rate.

    Attributes:
        audio: an input of `sonant.audio.read`; or `Unusable`, whose error every method raises.
        sampling_rate: the model's.
        source_rate: of an array without a sampling rate; None: the model's.
        known_seconds: duration of the recording or segment from a manifest, to avoid reading the header.
        label: name in messages and files.
        channel: a number; None or "mix" for the mean; "all": only the sources from `channels` can be read.
        number: index of the recording that this is a channel of; None: a whole recording.
        segment: part of the recording; None: all of it.
        text: what is said in it, to be aligned; None: unknown.
    """

    audio: Any
    sampling_rate: int
    min_samples: int = 400
    source_rate: int | None = None
    known_seconds: float | None = None
    label: str | None = None
    channel: Channel | None = None
    number: int | None = None
    segment: Segment | None = None
    text: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        name = self.label
        if not name and isinstance(self.audio, Unusable):
            name = "a file object"
        elif not name:
            name = fsdecode(self.audio) if isinstance(self.audio, str | PathLike) else type(self.audio).__name__
        return part_name(name, self.segment, None if self.number is None else int(self.channel or 0))

    def channels(self, number: int) -> list[Self]:
        """Return a source per channel if `channel` is "all", else this one; `number` is the recording's index.

        A recording that cannot be opened has one channel, which raises the error when read.
        """
        if self.channel != "all":
            return [self]
        try:
            with self._reading():
                count = audio.num_channels(self.audio)
        except (AudioError, MissingExtra):
            count = 1
        return [replace(self, channel=channel, number=number) for channel in range(count)]

    def seconds(self) -> float:
        """Return the duration from the header."""
        if self.known_seconds is not None:
            return self.known_seconds
        with self._reading():
            return audio.duration(
                self.audio, source_rate=self.source_rate, sampling_rate=self.sampling_rate, segment=self.segment
            )

    def read(self) -> np.ndarray:
        """Return the whole recording, float32 (samples,)."""
        with self._reading():
            return audio.read(self.audio, **self._how)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the same samples in blocks, in constant memory."""
        with self._reading():
            yield from audio.blocks(self.audio, **self._how)

    @property
    def _how(self) -> dict[str, Any]:
        return {
            "sampling_rate": self.sampling_rate,
            "source_rate": self.source_rate,
            "min_samples": self.min_samples,
            "channel": self.channel,
            "segment": self.segment,
        }

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn an OSError of reading into UndecodableAudio, to tell it from errors of writing."""
        if isinstance(self.audio, Unusable):
            raise type(self.audio.error)(*self.audio.error.args)
        try:
            with attributed_to(self.name):
                yield
        except OSError as error:
            raise UndecodableAudio(
                f"{self.name} could not be read: {error}. Check the disk or the connection."
            ) from error


def channel_of(recording: ManifestEntry, channel: Channel | None) -> Channel | None:
    """Return the channel to read of a manifest's recording: its own, or the one given for all.

    Raises:
        ConfigurationError: there are both.
    """
    if recording.channel is None:
        return channel
    if channel not in (None, "mix"):
        raise ConfigurationError(
            f"channel={channel!r} was given, and the manifest itself names channels: {recording.name}. Leave one of "
            "them out."
        )
    return recording.channel


def is_many(audio: Any) -> bool:
    """Return whether an argument is several recordings: a list, tuple, column or iterator of them.

    A list or array of numbers, and a tuple of samples and their rate, are one recording.
    """
    if isinstance(audio, list | tuple):
        return not is_pair(audio) and not (audio and isinstance(audio[0], Real))
    if isinstance(audio, Tensor | str | bytes | bytearray | memoryview | array | PathLike | Mapping):
        return False
    if hasattr(audio, "__array__"):
        kind = getattr(getattr(audio, "dtype", None), "kind", "O")  # without copying an array from another device
        return kind in "OUS" and _is_column(np.asarray(audio))
    return isinstance(audio, Iterable) and not hasattr(audio, "read") and not hasattr(audio, "get_all_samples")


def _is_column(values: np.ndarray) -> bool:
    """Return whether an array contains recordings (paths, arrays, mappings), not numbers."""
    return values.ndim == 1 and values.dtype.kind in "OUS" and bool(len(values)) and not isinstance(values[0], Real)


def rewound(item: Any, *, twice_at_once: bool = False) -> Any:
    """Return a recording in a form that can be read repeatedly; a pipe is read into memory.

    An unreadable recording is returned as `Unusable`.

    Args:
        twice_at_once: whether two readers use it at the same time; a file object, whose position they would share, is
            then read into memory too.
    """
    if isinstance(item, str | PathLike) and is_pipe(item):
        return Path(fsdecode(item)).read_bytes()
    is_decoder = hasattr(item, "get_all_samples")  # torchcodec's, which has a position too
    if not (is_decoder and twice_at_once) and not hasattr(item, "read"):
        return item
    try:
        opened = unwrap(item)
        if is_decoder:
            return {"array": opened.values, "sampling_rate": opened.rate}
        seekable = can_seek(item)
        if seekable and not twice_at_once:
            return item
        if seekable:
            item.seek(0)
        return read_all(item)
    except AudioError as error:
        return Unusable(error)
