"""One door for every recording: mono float32 at the rate that is asked for."""

from typing import Any

import numpy as np
import soxr

from sonant.audio.arrays import Waveform, check_finite, to_mono
from sonant.audio.decode import HIGHEST_RATE, LOWEST_RATE, open_decoder
from sonant.audio.sources import Samples, unwrap
from sonant.errors import ConfigurationError, EmptyAudio, TooShortAudio

QUALITY = "HQ"  # of soxr, everywhere: a second quality would give a second set of features


def read(
    source: Any, *, sampling_rate: int = 16000, source_rate: int | None = None, min_samples: int = 400
) -> Waveform:
    """Read a recording as a fresh float32 array (samples,) at `sampling_rate`, mono by the mean over channels.

    `source`: a path; bytes; a binary file object (read from its beginning); an array, tensor or list of samples; or a
    mapping with "array" and "sampling_rate", "bytes" or "path". `source_rate` is the rate of bare arrays and defaults
    to `sampling_rate`; files and mappings carry their own. `min_samples` is the shortest result allowed. Digital
    silence is a good recording.

    Raises AudioNotFound, EmptyAudio, TooShortAudio, NonFiniteAudio, TruncatedAudio, UndecodableAudio; MissingExtra for
    a format that needs PyAV; ConfigurationError for an impossible rate.
    """
    check_rate(sampling_rate, "sampling_rate")
    source = unwrap(source)
    if isinstance(source, Samples):
        name, rate = "the given samples", array_rate(source, source_rate, sampling_rate)
        samples = to_mono(source.values)
    else:
        with open_decoder(source) as decoder:
            name, rate = decoder.name, decoder.rate
            blocks = list(decoder.blocks())
        samples = np.concatenate(blocks) if blocks else np.empty(0, np.float32)
    check_not_empty(len(samples), name)
    check_finite(samples, rate, name)
    samples = resample(samples, rate, sampling_rate)
    check_finite(samples, sampling_rate, name)
    check_long_enough(len(samples), min_samples, sampling_rate, name)
    return samples


def resample(samples: Waveform, source_rate: int, sampling_rate: int) -> Waveform:
    """Resample float32 (samples,) with soxr's HQ filter, round(samples * sampling_rate / source_rate) long."""
    if source_rate == sampling_rate:
        return samples
    return np.ascontiguousarray(soxr.resample(samples, source_rate, sampling_rate, quality=QUALITY), np.float32)


def array_rate(source: Samples, source_rate: int | None, sampling_rate: int) -> int:
    """The rate of samples given as an array: what comes with them, else `source_rate`, else `sampling_rate`."""
    rate = next(rate for rate in (source.rate, source_rate, sampling_rate) if rate is not None)
    check_rate(rate, "the sampling rate of the array")
    return int(rate)


def check_rate(rate: Any, name: str) -> None:
    """Raises ConfigurationError unless `rate` is a whole number of hertz within reason."""
    try:
        good = LOWEST_RATE <= rate <= HIGHEST_RATE and int(rate) == rate and not isinstance(rate, bool)
    except (TypeError, ValueError):
        good = False
    if not good:
        raise ConfigurationError(
            f"{name} is {rate!r}; expected a whole number of hertz from {LOWEST_RATE} to {HIGHEST_RATE}, such as "
            "16000. A value in kilohertz is the usual cause."
        )


def check_not_empty(num_samples: int, name: str) -> None:
    """Raises EmptyAudio."""
    if num_samples == 0:
        raise EmptyAudio(
            f"{name}: a header, and not one sample after it. The recording was stopped before it began or was cut off: "
            "make it or fetch it again."
        )


def check_long_enough(num_samples: int, min_samples: int, sampling_rate: int, name: str) -> None:
    """Raises TooShortAudio."""
    if num_samples < min_samples:
        raise TooShortAudio(
            f"{name}: {num_samples} samples at {sampling_rate} Hz ({1000 * num_samples / sampling_rate:.1f} ms); "
            f"expected at least {min_samples}. Leave it out, take a longer cut, or check that the rate is true."
        )
