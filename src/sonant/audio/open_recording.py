"""Recordings of any kind as blocks of the selected channels, at their own rate."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sonant.audio.arrays import is_wide, layout, shape_of, to_frames
from sonant.audio.ceiling import Ceiling
from sonant.audio.channels import Block, Channel, ChannelSelection, check_channel
from sonant.audio.formats.decode import HIGHEST_RATE, LOWEST_RATE, open_decoder
from sonant.audio.formats.decoder import BLOCK_FRAMES, FileDecoder, Frames
from sonant.audio.input_forms import Samples, unwrap
from sonant.audio.segments import Segment
from sonant.errors import ConfigurationError, UndecodableAudio

SAMPLES = "the given samples"


@dataclass(frozen=True)
class OpenRecording:
    """An open recording.

    Attributes:
        name: in messages.
        rate: in hertz.
        channels: number of selected channels, those that are mixed counted as one.
        first: number of the first sample in the recording.
        frames: samples per channel according to the header; None if unknown.
        blocks: float32 (samples,), or (samples, channels) for all channels; an iterator, which at its end warns of
            channels that cancel or samples of the wrong scale.
    """

    name: str
    rate: int
    channels: int
    first: int
    frames: int | None
    blocks: Iterator[Block]


@contextmanager
def open_recording(
    source: Any,
    *,
    channel: Channel | None,
    source_rate: int | None,
    sampling_rate: int,
    ceiling: Ceiling | None = None,
    segment: Segment | None = None,
) -> Iterator[OpenRecording]:
    """Open a recording or a segment of it; arguments and errors as in `read` and `blocks`."""
    check_channel(channel)
    source = unwrap(source)
    if isinstance(source, Samples):
        rate = array_rate(source, source_rate, sampling_rate)
        samples = to_frames(source.values, is_one=source.is_one or channel is not None)
        choice = ChannelSelection(channel, samples.shape[1], SAMPLES, is_wide=is_wide(source.values))
        first, stop, name = _bounds(segment, rate, len(samples), SAMPLES)
        samples = samples[first:stop]
        blocks = _chosen((samples[at : at + BLOCK_FRAMES] for at in range(0, len(samples), BLOCK_FRAMES)), choice)
        channels = samples.shape[1] if channel == "all" else 1
        yield OpenRecording(name, rate, channels, first, len(samples), blocks)
        return
    with open_decoder(source) as decoder:
        choice = ChannelSelection(channel, decoder.channels, decoder.name, is_wide=decoder.is_wide)
        first, stop, name = _bounds(segment, decoder.rate, decoder.frames, decoder.name)
        pieces = decoder.blocks(first, stop) if ceiling is None else ceiling.guard(decoder, first, stop)
        if segment is not None and decoder.frames is None:
            pieces = _complete(pieces, segment, decoder)
        frames = decoder.frames if stop is None or decoder.frames is None else stop - first
        channels = decoder.channels if channel == "all" else 1
        yield OpenRecording(name, decoder.rate, channels, first, frames, _chosen(pieces, choice))


def _bounds(segment: Segment | None, rate: int, frames: int | None, name: str) -> tuple[int, int | None, str]:
    """Return the first sample to read, the one after the last (None: to the end), and the name in messages."""
    if segment is None:
        return 0, None, name
    return *segment.samples(rate, frames, name), f"{name}, {segment}"


def _complete(pieces: Iterable[Frames], segment: Segment, decoder: FileDecoder) -> Iterator[Frames]:
    """Yield the blocks of a segment; raise MissingSegment at the end if the recording ended before it."""
    done = 0
    for frames in pieces:
        done += len(frames)
        yield frames
    segment.check_complete(done, decoder.rate, decoder.name)


def _chosen(pieces: Iterable[Frames], choice: ChannelSelection) -> Iterator[Block]:
    for frames in pieces:
        yield choice(frames)
    choice.finish()


def num_channels(source: Any) -> int:
    """Return the number of channels of a recording, from its header; sources and errors as in `read`."""
    source = unwrap(source)
    if isinstance(source, Samples):
        return layout(shape_of(source.values), is_one=True)[1]
    with open_decoder(source) as decoder:
        return decoder.channels


def array_rate(source: Samples, source_rate: int | None, sampling_rate: int) -> int:
    """Return the rate of samples: their own, or `source_rate`, or `sampling_rate` for a bare array.

    Raises:
        ConfigurationError: invalid `source_rate`.
        UndecodableAudio: an invalid rate, a rate that differs from `source_rate`, or a mapping without rate.
    """
    if source_rate is not None:
        check_rate(source_rate, "the sampling rate of the array")
    if source.rate is None:
        if source.is_one and source_rate is None:
            raise UndecodableAudio(
                "A mapping with 'array' and no 'sampling_rate': add the rate of the samples, in hertz, or give the "
                f"bare array if it is at {sampling_rate} Hz."
            )
        return int(sampling_rate if source_rate is None else source_rate)
    try:
        check_rate(source.rate, "the sampling rate that comes with the samples")
    except ConfigurationError as error:
        raise UndecodableAudio(str(error)) from None
    if source_rate is not None and int(source.rate) != source_rate:
        raise UndecodableAudio(
            f"The samples come with a rate of {source.rate} Hz, and a sampling rate of {source_rate} Hz was given "
            "for them beside: they cannot have both. Leave out the one that is wrong; samples are resampled to the "
            "model's rate in any case."
        )
    return int(source.rate)


def check_rate(rate: Any, name: str) -> None:
    """Raise ConfigurationError unless `rate` is a plausible integer number of hertz."""
    try:
        good = LOWEST_RATE <= rate <= HIGHEST_RATE and int(rate) == rate and not isinstance(rate, bool)
    except (TypeError, ValueError, RuntimeError):  # the last: a tensor of several values
        good = False
    if not good:
        raise ConfigurationError(
            f"{name} is {rate!r}; expected a whole number of hertz from {LOWEST_RATE} to {HIGHEST_RATE}, such as "
            "16000. A value in kilohertz is the usual cause."
        )
