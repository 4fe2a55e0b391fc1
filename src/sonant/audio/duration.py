"""Duration and format of a recording, without decoding."""

from dataclasses import dataclass
from typing import Any

from sonant.audio.arrays import layout, shape_of
from sonant.audio.formats.decode import open_decoder
from sonant.audio.input_forms import Samples, unwrap
from sonant.audio.open_recording import SAMPLES, array_rate
from sonant.audio.read import check_not_empty
from sonant.audio.segments import Segment


@dataclass(frozen=True)
class AudioInfo:
    """Facts about a recording, from its header.

    Attributes:
        duration: in seconds.
        sampling_rate: in hertz.
        channels: number of channels.
    """

    duration: float
    sampling_rate: int
    channels: int


def info(
    source: Any, *, source_rate: int | None = None, sampling_rate: int = 16000, segment: Segment | None = None
) -> AudioInfo:
    """Return duration, sampling rate and number of channels of a recording; arguments and errors as of `duration`."""
    source = unwrap(source)
    if isinstance(source, Samples):
        samples, channels = layout(shape_of(source.values), is_one=True)
        rate = array_rate(source, source_rate, sampling_rate)
        return AudioInfo(_seconds(samples / rate, rate, SAMPLES, segment), rate, channels)
    with open_decoder(source) as decoder:
        seconds = decoder.measure() if decoder.frames is None else decoder.frames / decoder.rate
        check_not_empty(round(seconds * decoder.rate), decoder.name)
        return AudioInfo(_seconds(seconds, decoder.rate, decoder.name, segment), decoder.rate, decoder.channels)


def duration(
    source: Any, *, source_rate: int | None = None, sampling_rate: int = 16000, segment: Segment | None = None
) -> float:
    """Return the duration of a recording in seconds, from its header.

    Accepts what `read` accepts; bare arrays have `source_rate`, by default `sampling_rate`. Streams without a length in
    the header (a FLAC, webm or AAC written to a pipe) are parsed to the end.

    Args:
        segment: part of the recording, whose duration is returned.

    Raises AudioNotFound, EmptyAudio, TruncatedAudio (where the header shows it), UndecodableAudio, MissingSegment,
    MissingExtra.
    """
    return info(source, source_rate=source_rate, sampling_rate=sampling_rate, segment=segment).duration


def _seconds(seconds: float, rate: int, name: str, segment: Segment | None) -> float:
    if segment is None:
        return seconds
    frames = round(seconds * rate)
    first, stop = segment.samples(rate, frames, name)
    return ((frames if stop is None else stop) - first) / rate
