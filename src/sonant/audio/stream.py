"""Recordings too long to hold: the samples that `read` would give, a block at a time."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import soxr

from sonant.audio.arrays import Waveform, check_finite, to_mono
from sonant.audio.ceiling import Ceiling
from sonant.audio.decode import BLOCK_FRAMES, open_decoder
from sonant.audio.read import QUALITY, array_rate, check_long_enough, check_not_empty, check_rate
from sonant.audio.sources import Samples, unwrap


def blocks(
    source: Any,
    *,
    sampling_rate: int = 16000,
    source_rate: int | None = None,
    min_samples: int = 400,
    ceiling: Ceiling | None = None,
) -> Iterator[Waveform]:
    """Read a recording block by block: mono float32 arrays (samples,) that, laid end to end, are what `read` gives.

    The lengths of the blocks vary and may be up to some hundred thousand samples. Takes what `read` takes and raises
    what it raises, but only on reaching the place: a cut file gives its good blocks first, and a recording turns out
    too short at its end. Memory does not grow with the length of a file. A file that decodes to more than `ceiling`
    is an OversizedAudio, at once where its header says so.
    """
    check_rate(sampling_rate, "sampling_rate")
    source = unwrap(source)
    if isinstance(source, Samples):
        name, rate = "the given samples", array_rate(source, source_rate, sampling_rate)
        samples = to_mono(source.values)
        pieces = (samples[at : at + BLOCK_FRAMES] for at in range(0, len(samples), BLOCK_FRAMES))
        yield from _finish(pieces, rate, sampling_rate, min_samples, name)
    else:
        with open_decoder(source) as decoder:
            read = decoder.blocks() if ceiling is None else ceiling.guard(decoder)
            yield from _finish(read, decoder.rate, sampling_rate, min_samples, decoder.name)


def _finish(
    pieces: Iterator[Waveform], rate: int, sampling_rate: int, min_samples: int, name: str
) -> Iterator[Waveform]:
    """Check and resample a stream of blocks."""
    seen = given = 0
    resampler = None if rate == sampling_rate else soxr.ResampleStream(rate, sampling_rate, 1, "float32", QUALITY)
    for piece in pieces:
        check_finite(piece, rate, name, first=seen)
        seen += len(piece)
        block = piece if resampler is None else resampler.resample_chunk(piece)
        check_finite(block, sampling_rate, name, first=given)
        given += len(block)
        if len(block):
            yield block
    check_not_empty(seen, name)
    if resampler is not None:
        rest = resampler.resample_chunk(np.empty(0, np.float32), last=True)
        given += len(rest)
        if len(rest):
            yield rest
    check_long_enough(given, min_samples, sampling_rate, name)
