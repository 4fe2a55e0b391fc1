"""How long a recording is, without decoding it."""

from typing import Any

import numpy as np

from sonant.audio.decode import open_decoder
from sonant.audio.read import array_rate, check_not_empty
from sonant.audio.sources import Samples, unwrap


def duration(source: Any, *, source_rate: int | None = None) -> float:
    """The length of a recording in seconds, from its header.

    Takes what `read` takes; bare arrays are taken to be at `source_rate`, 16000 unless given. Streams whose header
    names no length (a FLAC, webm or AAC written to a pipe) are walked through to their end.

    Raises AudioNotFound, EmptyAudio, TruncatedAudio (where the header alone shows it), UndecodableAudio, MissingExtra.
    """
    source = unwrap(source)
    if isinstance(source, Samples):
        shape = np.shape(source.values)
        check_not_empty(0 if 0 in shape else max(shape, default=0), "the given samples")
        return max(shape) / array_rate(source, source_rate, 16000)
    with open_decoder(source) as decoder:
        seconds = decoder.measure() if decoder.frames is None else decoder.frames / decoder.rate
        check_not_empty(round(seconds * decoder.rate), decoder.name)
        return seconds
