"""Duration of a recording, without decoding."""

from typing import Any

from sonant.audio.arrays import layout, shape_of
from sonant.audio.formats.decode import open_decoder
from sonant.audio.input_forms import Samples, unwrap
from sonant.audio.open_recording import array_rate
from sonant.audio.read import check_not_empty


def duration(source: Any, *, source_rate: int | None = None, sampling_rate: int = 16000) -> float:
    """Return the duration of a recording in seconds, from its header.

    Accepts what `read` accepts; bare arrays have `source_rate`, by default `sampling_rate`. Streams without a length in
    the header (a FLAC, webm or AAC written to a pipe) are parsed to the end.

    Raises AudioNotFound, EmptyAudio, TruncatedAudio (where the header shows it), UndecodableAudio, MissingExtra.
    """
    source = unwrap(source)
    if isinstance(source, Samples):
        samples, _ = layout(shape_of(source.values), is_one=True)
        return samples / array_rate(source, source_rate, sampling_rate)
    with open_decoder(source) as decoder:
        seconds = decoder.measure() if decoder.frames is None else decoder.frames / decoder.rate
        check_not_empty(round(seconds * decoder.rate), decoder.name)
        return seconds
