"""The duration of a recording, without decoding it."""

from typing import Any

from sonant.audio.arrays import layout, shape_of
from sonant.audio.formats.decode import open_decoder
from sonant.audio.input_forms import Samples, unwrap
from sonant.audio.open_recording import array_rate
from sonant.audio.read import check_not_empty


def duration(source: Any, *, source_rate: int | None = None, sampling_rate: int = 16000) -> float:
    """The length of a recording in seconds, from its header.

    Takes what `read` takes; bare arrays are taken to be at `source_rate`, or `sampling_rate` unless it is given.
    Streams whose header names no length (a FLAC, webm or AAC written to a pipe) are walked through to their end.

    Raises AudioNotFound, EmptyAudio, TruncatedAudio (where the header alone shows it), UndecodableAudio, MissingExtra.
    """
    source = unwrap(source)
    if isinstance(source, Samples):
        samples, _ = layout(shape_of(source.values), is_one=True)
        return samples / array_rate(source, source_rate, sampling_rate)
    with open_decoder(source) as decoder:
        seconds = decoder.measure() if decoder.frames is None else decoder.frames / decoder.rate
        check_not_empty(round(seconds * decoder.rate), decoder.name)
        return seconds
