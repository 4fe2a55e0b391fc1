"""Streaming of long recordings: the samples of `read`, block by block."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr

from sonant.audio.arrays import Waveform, check_finite
from sonant.audio.ceiling import Ceiling
from sonant.audio.channels import Channel
from sonant.audio.open_recording import OpenRecording, check_rate, open_recording
from sonant.audio.read import QUALITY, check_long_enough, check_not_empty
from sonant.audio.segments import Segment


def blocks(
    source: Any,
    *,
    sampling_rate: int = 16000,
    source_rate: int | None = None,
    min_samples: int = 400,
    ceiling: Ceiling | None = None,
    channel: Channel | None = None,
    segment: Segment | None = None,
) -> Iterator[Waveform]:
    """Read a recording block by block: float32 arrays (samples,) whose concatenation equals the result of `read`.

    With channel="all" each block is (channels, samples). Blocks have up to some hundred thousand samples. Arguments and
    errors as in `read`, but errors are raised when their place is reached: a truncated file yields its good blocks
    first, and a recording is found too short at its end. Memory is independent of the length of a file. A file that
    decodes to more than `ceiling` raises OversizedAudio, at once if its header says so.
    """
    with open_stream(
        source,
        sampling_rate=sampling_rate,
        source_rate=source_rate,
        min_samples=min_samples,
        ceiling=ceiling,
        channel=channel,
        segment=segment,
    ) as stream:
        yield from stream.blocks


@dataclass(frozen=True)
class AudioStream:
    """An open recording that is read block by block.

    Attributes:
        channels: number of selected channels, those that are mixed counted as one.
        samples: number of samples of each at the requested rate, rounded down, as the header of the recording says;
            None if unknown.
        blocks: as those of `blocks`.
    """

    channels: int
    samples: int | None
    blocks: Iterator[Waveform]


@contextmanager
def open_stream(
    source: Any,
    *,
    sampling_rate: int = 16000,
    source_rate: int | None = None,
    min_samples: int = 400,
    ceiling: Ceiling | None = None,
    channel: Channel | None = None,
    segment: Segment | None = None,
) -> Iterator[AudioStream]:
    """Open a recording to read it as `blocks` does, with its length according to the header; see there."""
    check_rate(sampling_rate, "sampling_rate")
    with open_recording(
        source,
        channel=channel,
        source_rate=source_rate,
        sampling_rate=sampling_rate,
        ceiling=ceiling,
        segment=segment,
    ) as recording:
        frames = recording.frames
        samples = None if frames is None else frames * sampling_rate // recording.rate
        blocks = (np.ascontiguousarray(block.T) for block in _finish(recording, sampling_rate, min_samples))
        yield AudioStream(recording.channels, samples, blocks)


def _finish(recording: OpenRecording, sampling_rate: int, min_samples: int) -> Iterator[Waveform]:
    """Check and resample the blocks of a recording."""
    name, rate = recording.name, recording.rate
    seen = given = 0
    resampler: soxr.ResampleStream | None = None
    piece = np.empty(0, np.float32)
    for piece in recording.blocks:
        check_finite(piece, rate, name, first=recording.first + seen)
        seen += len(piece)
        if resampler is None and rate != sampling_rate:
            channels = piece.reshape(len(piece), -1).shape[1]
            resampler = soxr.ResampleStream(rate, sampling_rate, channels, "float32", QUALITY)
        block = piece if resampler is None else resampler.resample_chunk(piece)
        check_finite(block, sampling_rate, name, first=given)
        given += len(block)
        if len(block):
            yield block
    check_not_empty(seen, name)
    if resampler is not None:
        rest = resampler.resample_chunk(piece[:0], last=True)
        given += len(rest)
        if len(rest):
            yield rest
    check_long_enough(given, min_samples, sampling_rate, name)
