"""Quality of speech beside a clean reference: STOI predicts intelligibility, PESQ the ratings of listeners."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sonant.audio.read import resample
from sonant.errors import MeasurementError, MissingExtra
from sonant.evaluation.separation import checked_pair

Array = NDArray[np.float64]
RATE = 10_000  # of STOI, in hertz
FRAME, HOP, FFT_SIZE = 256, 128, 512  # samples
NUM_BANDS, LOWEST_HZ = 15, 150.0  # of a third of an octave; the center of the lowest
WINDOW = np.hanning(FRAME + 2)[1:-1]
SEGMENT = 30  # frames, 384 ms
RANGE_DB = 40.0  # frames of the reference that are weaker than the loudest by more are left out
LOWER_BOUND_DB = -15.0  # of the signal-to-distortion ratio in a band
TINY = np.finfo(np.float64).eps


def stoi(estimate: ArrayLike, reference: ArrayLike, sampling_rate: int, *, extended: bool = False) -> float:
    """Compute the short-time objective intelligibility of speech (samples,), 0 to 1.

    Args:
        estimate: noisy or processed speech.
        reference: the same speech, clean.
        extended: ESTOI, for noise that fluctuates.

    Raises MeasurementError: shapes differ, the reference is silent, less than 0.4 s of it is not, or there is no rate.

    Sources: Taal et al. 2011 (IEEE TASLP 19:7), Jensen and Taal 2016 (IEEE TASLP 24:11). Values are those of pystoi,
    apart from its resampling to 10 kHz.
    """
    found, wanted = _mono(estimate, reference)
    if sampling_rate <= 0:
        raise MeasurementError(f"sampling_rate={sampling_rate} was given; expected hertz, above 0.")
    if sampling_rate != RATE:
        found, wanted = (_resampled(each, sampling_rate) for each in (found, wanted))
    found, wanted = _without_silence(found, wanted)
    envelopes = [_bands(each) for each in (found, wanted)]  # (bands, frames)
    num_frames = envelopes[0].shape[1]
    if num_frames < SEGMENT:
        raise MeasurementError(
            f"{num_frames} frames of the reference are not silent, {num_frames * HOP / RATE:.2f} s; STOI compares "
            f"{SEGMENT} frames, 0.4 s, at least."
        )
    y, x = (np.lib.stride_tricks.sliding_window_view(each, SEGMENT, axis=1).swapaxes(0, 1) for each in envelopes)
    if extended:
        return float((_unit(_unit(x, -1), -2) * _unit(_unit(y, -1), -2)).sum((1, 2)).mean() / SEGMENT)
    scale = np.linalg.norm(x, axis=-1, keepdims=True) / (np.linalg.norm(y, axis=-1, keepdims=True) + TINY)
    clipped = np.minimum(scale * y, x * (1 + 10 ** (-LOWER_BOUND_DB / 20)))
    return float((_unit(x, -1) * _unit(clipped, -1)).sum(-1).mean())


def pesq(
    estimate: ArrayLike, reference: ArrayLike, sampling_rate: int, *, mode: Literal["wb", "nb"] | None = None
) -> float:
    """Compute the perceptual evaluation of speech quality of (samples,), as a mean opinion score of 1 to 4.64.

    Args:
        sampling_rate: 16,000 or 8,000.
        mode: "wb", wide band (P.862.2), of 16 kHz alone, or "nb", narrow band (P.862.1); None: by the rate.

    Raises:
        MeasurementError: shapes differ, the reference is silent, it has no utterance or is shorter than 0.25 s, or the
            rate is another.
        MissingExtra: the package pesq is not installed.

    Source: ITU-T P.862, P.862.1 and P.862.2, computed by the package pesq.
    """
    found, wanted = _mono(estimate, reference)
    mode = mode or ("wb" if sampling_rate == 16_000 else "nb")
    if sampling_rate not in (8_000, 16_000) or (mode == "wb" and sampling_rate == 8_000):
        raise MeasurementError(
            f"PESQ was asked for mode={mode} at {sampling_rate} Hz; it is defined at 16,000 Hz (wb and nb) and 8,000 "
            "Hz (nb). Resample both signals."
        )
    try:
        from pesq import BufferTooShortError, NoUtterancesError
        from pesq import pesq as measure
    except ImportError as error:
        raise MissingExtra("pesq", extra="pesq", purpose="The perceptual evaluation of speech quality") from error
    try:
        return float(measure(sampling_rate, wanted.astype(np.float32), found.astype(np.float32), mode))
    except (BufferTooShortError, NoUtterancesError) as error:
        raise MeasurementError("PESQ finds no utterance in the reference: it is too short or too quiet.") from error


def _mono(estimate: ArrayLike, reference: ArrayLike) -> tuple[Array, Array]:
    found, wanted = checked_pair(estimate, reference)
    if found.ndim != 1:
        raise MeasurementError(f"Speech of shape {found.shape} was given; expected (samples,) of one recording.")
    return found, wanted


def _resampled(samples: Array, rate: int) -> Array:
    return resample(samples.astype(np.float32), rate, RATE).astype(np.float64)


def _frames(samples: Array) -> Array:
    """(samples,) to (frames, FRAME), windowed; as in the original, a frame that ends with the samples is left out."""
    if len(samples) <= FRAME:
        return np.zeros((0, FRAME))
    return np.lib.stride_tricks.sliding_window_view(samples[:-1], FRAME)[::HOP] * WINDOW


def _without_silence(found: Array, wanted: Array) -> tuple[Array, Array]:
    """Leave out the frames in which the reference is silent, and overlap and add the others."""
    pair = _frames(found), _frames(wanted)
    energy = 20 * np.log10(np.linalg.norm(pair[1], axis=1) + TINY)
    loud = energy > energy.max(initial=-np.inf) - RANGE_DB
    return _added(pair[0][loud]), _added(pair[1][loud])


def _added(frames: Array) -> Array:
    halves = frames.reshape(-1, HOP)
    whole = np.zeros((len(frames) + 1, HOP))
    whole[:-1] += halves[::2]
    whole[1:] += halves[1::2]
    return whole.ravel()


def _bands(samples: Array) -> Array:
    """Compute the envelopes (bands, frames)."""
    power = np.abs(np.fft.rfft(_frames(samples), FFT_SIZE)) ** 2  # (frames, bins)
    bins = np.arange(FFT_SIZE // 2 + 1) * RATE / FFT_SIZE
    band = np.arange(NUM_BANDS)
    low, high = (LOWEST_HZ * 2.0 ** ((2 * band + side) / 6) for side in (-1, 1))
    first, last = (np.abs(bins[:, None] - edge).argmin(0) for edge in (low, high))
    number = np.arange(len(bins))[:, None]
    return np.sqrt(power @ ((number >= first) & (number < last))).T


def _unit(values: Array, axis: int) -> Array:
    """Center and scale to length one along an axis."""
    centered = values - values.mean(axis, keepdims=True)
    return centered / (np.linalg.norm(centered, axis=axis, keepdims=True) + TINY)
