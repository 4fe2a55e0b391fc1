"""A recording of any kind as blocks of the channels that are wanted, at its own rate."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sonant.audio.arrays import is_wide, layout, shape_of, to_frames
from sonant.audio.ceiling import Ceiling
from sonant.audio.channels import Block, Channel, ChannelSelection, check_channel
from sonant.audio.formats.decode import HIGHEST_RATE, LOWEST_RATE, open_decoder
from sonant.audio.formats.decoder import BLOCK_FRAMES, Frames
from sonant.audio.input_forms import Samples, unwrap
from sonant.errors import ConfigurationError, UndecodableAudio

SAMPLES = "the given samples"


@dataclass(frozen=True)
class OpenRecording:
    """A recording that is open.

    Attributes:
        name: what messages call it.
        rate: in hertz.
        blocks: float32 (samples,), or (samples, channels) where all channels are wanted; to be gone through once. At
            their end what is odd about the whole is warned of.
    """

    name: str
    rate: int
    blocks: Iterator[Block]


@contextmanager
def open_recording(
    source: Any,
    *,
    channel: Channel | None,
    source_rate: int | None,
    sampling_rate: int,
    ceiling: Ceiling | None = None,
) -> Iterator[OpenRecording]:
    """Open what `read` takes; arguments and errors are those of `read` and `blocks`."""
    check_channel(channel)
    source = unwrap(source)
    if isinstance(source, Samples):
        rate = array_rate(source, source_rate, sampling_rate)
        frames = to_frames(source.values, is_one=source.is_one or channel is not None)
        choice = ChannelSelection(channel, frames.shape[1], SAMPLES, is_wide=is_wide(source.values))
        pieces: Iterator[Frames] = (frames[at : at + BLOCK_FRAMES] for at in range(0, len(frames), BLOCK_FRAMES))
        yield OpenRecording(SAMPLES, rate, _chosen(pieces, choice))
        return
    with open_decoder(source) as decoder:
        choice = ChannelSelection(channel, decoder.channels, decoder.name, is_wide=decoder.is_wide)
        pieces = decoder.blocks() if ceiling is None else ceiling.guard(decoder)
        yield OpenRecording(decoder.name, decoder.rate, _chosen(pieces, choice))


def _chosen(pieces: Iterable[Frames], choice: ChannelSelection) -> Iterator[Block]:
    for frames in pieces:
        yield choice(frames)
    choice.finish()


def num_channels(source: Any) -> int:
    """Return a recording's number of channels, from its header. Sources and errors are those of `read`."""
    source = unwrap(source)
    if isinstance(source, Samples):
        return layout(shape_of(source.values), is_one=True)[1]
    with open_decoder(source) as decoder:
        return decoder.channels


def array_rate(source: Samples, source_rate: int | None, sampling_rate: int) -> int:
    """The rate of samples: what comes with them, else `source_rate`, else, of a bare array, `sampling_rate`.

    Raises:
        ConfigurationError: `source_rate` is no rate.
        UndecodableAudio: what comes with the samples is none, or not `source_rate`; or a mapping names none.
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
    """Raise ConfigurationError unless `rate` is a whole number of hertz within reason."""
    try:
        good = LOWEST_RATE <= rate <= HIGHEST_RATE and int(rate) == rate and not isinstance(rate, bool)
    except (TypeError, ValueError, RuntimeError):  # the last of a tensor of several numbers
        good = False
    if not good:
        raise ConfigurationError(
            f"{name} is {rate!r}; expected a whole number of hertz from {LOWEST_RATE} to {HIGHEST_RATE}, such as "
            "16000. A value in kilohertz is the usual cause."
        )
