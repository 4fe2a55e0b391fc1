"""Pitch of windows of speech, by YIN.

With x the samples of a window, W the integration length and lags 1 <= t <= T,

    d(t)  = sum over 0 <= j < W of (x[j] - x[j + t])^2                     difference
    d'(t) = d(t) * t / (d(1) + ... + d(t)),    d'(0) = 1                   divided by its mean so far

A periodic window has d'(period) near 0. The period is the first local minimum of d' below `THRESHOLD`; a parabola
through it and its neighbors refines it. A window without one is unvoiced.

Source: de Cheveigne and Kawahara, "YIN, a fundamental frequency estimator for speech and music", JASA 111, 2002.
"""

import numpy as np
import numpy.typing as npt

from sonant.errors import ConfigurationError

Floats = npt.NDArray[np.float64]

LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0
THRESHOLD = 0.15  # of d'; the paper's is 0.1 for clean speech
CHUNK_WINDOWS = 4096


def window_samples(sampling_rate: int) -> int:
    """Return the samples of a window: two periods of the lowest pitch, and the lags."""
    return 3 * _longest(sampling_rate)


def pitch(windows: npt.ArrayLike, sampling_rate: int) -> Floats:
    """Compute the pitch in hertz of windows (windows, samples); NaN where they are unvoiced: (windows,).

    Raises ConfigurationError for windows shorter than `window_samples`.
    """
    given = np.asarray(windows, dtype=np.float64)
    needed = window_samples(sampling_rate)
    if given.ndim != 2 or given.shape[1] < needed:
        raise ConfigurationError(
            f"Windows of shape {given.shape} were given; expected (windows, samples) with {needed} samples or more at "
            f"{sampling_rate} Hz."
        )
    chunks = [
        _pitch(given[start : start + CHUNK_WINDOWS], sampling_rate) for start in range(0, len(given), CHUNK_WINDOWS)
    ]
    return np.concatenate(chunks) if chunks else np.zeros(0)


def _longest(sampling_rate: int) -> int:
    return int(np.ceil(sampling_rate / LOWEST_HZ))


def _pitch(windows: Floats, sampling_rate: int) -> Floats:
    longest = _longest(sampling_rate)
    shortest = max(2, int(sampling_rate / HIGHEST_HZ))
    relative = _relative_differences(windows, longest)  # (windows, longest + 1)
    inner = relative[:, 1:-1]
    is_minimum = (inner < relative[:, :-2]) & (inner <= relative[:, 2:]) & (inner < THRESHOLD)
    is_minimum[:, : shortest - 1] = False  # column j is lag j + 1
    lag = is_minimum.argmax(axis=1) + 1
    rows = np.arange(len(windows))
    left, middle, right = (relative[rows, lag + step] for step in (-1, 0, 1))
    bend = left - 2 * middle + right
    shift = np.divide(left - right, 2 * bend, out=np.zeros_like(bend), where=bend > 0)
    return np.where(is_minimum.any(axis=1), sampling_rate / (lag + shift), np.nan)


def _relative_differences(windows: Floats, longest: int) -> Floats:
    """Compute d' for lags 0 to `longest`: (windows, longest + 1)."""
    length = windows.shape[1] - longest  # W
    size = 1 << (windows.shape[1] + length - 1).bit_length()
    head = np.fft.rfft(windows[:, :length], size)
    products = np.fft.irfft(np.conj(head) * np.fft.rfft(windows, size), size)[:, : longest + 1]  # sum x[j] x[j + t]
    energy = np.cumsum(np.pad(windows**2, ((0, 0), (1, 0))), axis=1)
    of_lag = energy[:, length : length + longest + 1] - energy[:, : longest + 1]  # sum x[j + t]^2
    difference = np.maximum(of_lag[:, :1] + of_lag - 2 * products, 0.0)
    difference[:, 0] = 0.0
    total = np.cumsum(difference, axis=1)
    floor = 1e-10 * energy[:, -1:] + 1e-20  # silence has no period
    relative = difference * np.arange(longest + 1) / np.maximum(total, floor)
    relative[:, 0] = 1.0
    relative[total[:, -1] <= floor[:, 0]] = 1.0
    return relative
