"""Reading of whole recordings as float32 at a given rate."""

from typing import Any

import numpy as np
import soxr

from sonant.audio.arrays import Waveform, check_finite
from sonant.audio.channels import Channel
from sonant.audio.open_recording import check_rate, open_recording
from sonant.audio.segments import Segment
from sonant.errors import EmptyAudio, TooShortAudio

QUALITY = "HQ"  # of soxr, everywhere, since features depend on it


def read(
    source: Any,
    *,
    sampling_rate: int = 16000,
    source_rate: int | None = None,
    min_samples: int = 400,
    channel: Channel | None = None,
    segment: Segment | None = None,
) -> Waveform:
    """Read a recording as a new float32 array (samples,) at `sampling_rate`.

    Args:
        source: a path; bytes; a binary file object (read from its beginning); an array, tensor or list of samples; a
            tuple (samples, rate) or (rate, samples); or a mapping with "array" and "sampling_rate", "bytes" or "path".
        sampling_rate: of the result, in hertz.
        source_rate: of bare arrays, by default `sampling_rate`; files, tuples and mappings have their own.
        min_samples: the shortest result allowed. Digital silence is valid.
        channel: None or "mix" takes the mean of the channels, a number one of them, counted from 0, "all" returns
            (channels, samples). Required for a bare array that may be a batch, (several, samples).
        segment: part of the recording to read, cut at its own rate; None: all of it.

    Raises AudioNotFound, EmptyAudio, TooShortAudio, NonFiniteAudio, TruncatedAudio, UndecodableAudio; MissingChannel;
    MissingSegment; MissingExtra for a format that needs PyAV; ConfigurationError for an invalid rate or channel. Warns
    (AudioWarning) of channels that cancel in their mean, and of samples far beyond full scale.
    """
    check_rate(sampling_rate, "sampling_rate")
    with open_recording(
        source, channel=channel, source_rate=source_rate, sampling_rate=sampling_rate, segment=segment
    ) as recording:
        name, rate, first = recording.name, recording.rate, recording.first
        blocks = list(recording.blocks)
    check_not_empty(sum(map(len, blocks)), name)
    samples = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    check_finite(samples, rate, name, first=first)
    samples = resample(samples, rate, sampling_rate)
    check_finite(samples, sampling_rate, name)
    check_long_enough(len(samples), min_samples, sampling_rate, name)
    return np.ascontiguousarray(samples.T)


def resample(samples: Waveform, source_rate: int, sampling_rate: int) -> Waveform:
    """Resample float32 (samples,) or (samples, channels) by soxr HQ to round(samples * sampling_rate / source_rate)."""
    if source_rate == sampling_rate:
        return samples
    return np.ascontiguousarray(soxr.resample(samples, source_rate, sampling_rate, quality=QUALITY), np.float32)


def check_not_empty(num_samples: int, name: str) -> None:
    """Raise EmptyAudio for a recording without samples."""
    if num_samples == 0:
        raise EmptyAudio(
            f"{name}: a header, and not one sample after it. The recording was stopped before it began or was cut off: "
            "make it or fetch it again."
        )


def check_long_enough(num_samples: int, min_samples: int, sampling_rate: int, name: str) -> None:
    """Raise TooShortAudio for a recording of fewer than `min_samples`."""
    if num_samples < min_samples:
        raise TooShortAudio(
            f"{name}: {num_samples} samples at {sampling_rate} Hz ({1000 * num_samples / sampling_rate:.1f} ms); "
            f"expected at least {min_samples}. Leave it out, take a longer cut, or check that the rate is true."
        )
