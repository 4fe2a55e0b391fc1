"""Kaldi-compatible log-mel filter banks and MFCC in torch, for CPU and GPU.

Frames as in Kaldi with `snip-edges`: only whole windows count, so that one second has 98 frames, not 100.
Source: Kaldi `feature-window.cc`, `mel-computations.cc`, `feature-mfcc.cc`; dither is always 0.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.errors import ConfigurationError, TooShortAudio
from sonant.running_moments import RunningMoments

PREEMPHASIS = 0.97
LOWEST_HZ = 20.0
MIN_SAMPLING_RATE = 100  # at which the shift of windows is one sample
ENERGY_FLOOR = torch.finfo(torch.float32).eps
LIFTER = 22.0
INTEGER_SCALE = 2.0**15  # Kaldi does not scale 16-bit samples
VARIANCE_FLOOR = 1e-7  # of SeamlessM4TFeatureExtractor
SPEECH_MEAN, SPEECH_DEVIATION = 15.0, 4.0  # of log energies of 16-bit speech, as measured on some recordings


def window_and_shift(sampling_rate: int) -> tuple[int, int]:
    """Return the samples of a window (25 ms) and of the shift (10 ms), rounded down as in Kaldi."""
    if sampling_rate < MIN_SAMPLING_RATE:
        raise ConfigurationError(
            f"sampling_rate={sampling_rate} was given; mel features need {MIN_SAMPLING_RATE} Hz or more. "
            "Give samples a second, not kilohertz."
        )
    return sampling_rate // 40, sampling_rate // 100


def num_mel_frames(num_samples: int, *, sampling_rate: int = 16_000) -> int:
    """Return the number of frames of a clip: windows of 25 ms every 10 ms wholly inside it."""
    window, shift = window_and_shift(sampling_rate)
    return max(0, (num_samples - window) // shift + 1)


def fbank(
    waveform: Tensor,
    *,
    sampling_rate: int = 16_000,
    num_bins: int = 80,
    low_hz: float = LOWEST_HZ,
    high_hz: float = 0.0,
) -> Tensor:
    """Compute log-mel filter bank energies.

    Args:
        waveform: float (..., samples).
        num_bins: mel bins.
        low_hz, high_hz: the lowest and highest frequency; `high_hz` of 0 or less counts from the Nyquist frequency.

    Returns:
        (..., frames, num_bins), natural logarithm, floored at float32's epsilon; float32, or float64 as the waveform.

    Raises:
        TooShortAudio: less than one window of 25 ms.
        ConfigurationError: frequencies out of order or above the Nyquist frequency, or bins without a frequency of the
            transform.
    """
    window, shift = window_and_shift(sampling_rate)
    if waveform.shape[-1] < window:
        raise TooShortAudio(f"A clip has {waveform.shape[-1]} samples; one window of 25 ms needs {window}.")
    precise = torch.promote_types(waveform.dtype, torch.float32)
    frames = waveform.to(precise).unfold(-1, window, shift)  # (..., frames, window)
    power = spectra(frames).abs().square()  # (..., frames, size / 2 + 1)
    nyquist = sampling_rate / 2
    bank = mel_bank(num_bins, sampling_rate, low_hz, high_hz if high_hz > 0 else nyquist + high_hz, window=window)
    return (power @ bank.to(power).T).clamp(min=ENERGY_FLOOR).log()


def spectra(windows: Tensor) -> Tensor:
    """Compute complex spectra (..., size / 2 + 1) of windows (..., window); the FFT size is a power of 2."""
    window = windows.shape[-1]
    windows = windows - windows.mean(-1, keepdim=True)
    windows = windows - PREEMPHASIS * torch.cat([windows[..., :1], windows[..., :-1]], -1)
    taper = torch.hann_window(window, periodic=False, dtype=windows.dtype, device=windows.device) ** 0.85
    return torch.fft.rfft(windows * taper, _fft_size(window))  # window function "povey" of Kaldi


class MelStatistics:
    """Mean and variance of each mel bin over a whole clip, from its samples in blocks of any length.

    For the normalization of windows of a long clip. Computed in float64. With `num_coefficients` above 0, those of as
    many cepstral coefficients, in place of the bins.
    """

    def __init__(self, *, sampling_rate: int = 16_000, num_bins: int = 80, num_coefficients: int = 0) -> None:
        self.sampling_rate, self.num_bins, self.num_coefficients = sampling_rate, num_bins, num_coefficients
        self._held = np.zeros(0, np.float32)  # samples from the next mel frame on
        zeros = torch.zeros(num_coefficients or num_bins, dtype=torch.float64, device="cpu")
        self._moments = RunningMoments(zeros, zeros)

    def update(self, samples: np.ndarray) -> None:
        """Add the next samples of the clip, (samples,)."""
        held = np.concatenate([self._held, samples.astype(np.float32)])
        new = num_mel_frames(len(held), sampling_rate=self.sampling_rate)
        self._held = held[new * window_and_shift(self.sampling_rate)[1] :]
        if new:
            features = _in_cepstrum(
                _kaldi_fbank(torch.from_numpy(held), self.sampling_rate, self.num_bins), self.num_coefficients
            )
            mean = features.mean(0)
            self._moments.add(new, mean, (features - mean).square().sum(0))

    def scaled(self, shift: float, scale: float) -> MelStatistics:  # noqa: ARG002 - each window loses its mean anyway
        """Return the statistics of `(samples - shift) / scale`, exact except for energies at the floor."""
        other = MelStatistics(
            sampling_rate=self.sampling_rate, num_bins=self.num_bins, num_coefficients=self.num_coefficients
        )
        louder = torch.full((self.num_bins,), 2 * math.log(scale), dtype=torch.float64, device="cpu")
        other._moments = replace(self._moments, mean=self._moments.mean - _in_cepstrum(louder, self.num_coefficients))
        return other

    def normalize(self, features: Tensor) -> Tensor:
        """Normalize features (frames, dim) by mean and (unbiased) standard deviation of the whole clip."""
        variance = self._moments.squares / max(self._moments.count - 1, 1)
        return _normalized(features, self._moments.mean.to(features), variance.to(features))


def stacked_fbank(
    waveform: Tensor,
    *,
    sampling_rate: int = 16_000,
    num_bins: int = 80,
    stack: int = 2,
    statistics: MelStatistics | None = None,
) -> Tensor:
    """Compute log-mel energies of one clip, normalized over the clip for each bin, with stacked frames.

    Args:
        waveform: float (samples,).
        num_bins: mel bins from 20 Hz to the Nyquist frequency.
        stack: number of mel frames that are stacked; frames left over at the end are dropped.
        statistics: of the whole clip, if this is a window; None: of the waveform itself.

    Returns:
        float32 (frames, stack * num_bins), earliest frame first.

    Source: w2v-BERT 2.0; equal to transformers' `SeamlessM4TFeatureExtractor`.
    """
    normalized = _normalized_by_clip(_kaldi_fbank(waveform, sampling_rate, num_bins), statistics)
    whole = len(normalized) // stack * stack
    return normalized[:whole].float().unflatten(0, (-1, stack)).flatten(1)


def filter_bank_frames(
    waveform: Tensor,
    *,
    sampling_rate: int = 16_000,
    num_bins: int = 80,
    num_coefficients: int = 0,
    with_deltas: bool = True,
    by_clip: bool = False,
    statistics: MelStatistics | None = None,
) -> Tensor:
    """Compute log-mel energies or MFCC of one clip, and their deltas.

    Args:
        waveform: float (samples,).
        num_bins: mel bins from 20 Hz to the Nyquist frequency.
        num_coefficients: of the cepstrum, C0 first; 0: the energies themselves.
        with_deltas: append deltas and delta-deltas.
        by_clip: normalize features to zero mean and unit variance over the clip, before the deltas. Otherwise log
            energies are shifted and scaled by constants, so that most values are between -2 and 2.
        statistics: of the whole clip, if this is a window; None: of the waveform itself.

    Returns:
        float32 (frames, dim), or (frames, 3 * dim) with deltas, where dim is `num_coefficients` or `num_bins`.

    Source: the order of Kaldi's recipes, apply-cmvn then add-deltas.
    """
    energies = _kaldi_fbank(waveform, sampling_rate, num_bins)
    if by_clip:
        normalized = _normalized_by_clip(_in_cepstrum(energies, num_coefficients), statistics)
    else:
        normalized = _in_cepstrum((energies - SPEECH_MEAN) / SPEECH_DEVIATION, num_coefficients)
    return (_with_deltas(normalized) if with_deltas else normalized).float()


def _normalized_by_clip(features: Tensor, statistics: MelStatistics | None) -> Tensor:
    """Normalize (frames, dim) by the statistics of a whole clip, or by their own."""
    if statistics is not None:
        return statistics.normalize(features)
    variance = (features - features.mean(0)).square().sum(0) / max(len(features) - 1, 1)
    return _normalized(features, features.mean(0), variance)


def stacked_reach(*, sampling_rate: int = 16_000, stack: int = 2) -> tuple[int, int]:
    """Return receptive field and stride of `stacked_fbank`, in samples."""
    window, shift = window_and_shift(sampling_rate)
    return window + (stack - 1) * shift, stack * shift


def _normalized(features: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    return (features - mean) / (variance + VARIANCE_FLOOR).sqrt()


def _kaldi_fbank(waveform: Tensor, sampling_rate: int, num_bins: int) -> Tensor:
    """Compute energies, float64, of a waveform in [-1, 1), scaled to 16 bits for the floor of the logarithm.

    In float32, rounding of the transform changes the lowest bins of loud clips by 1e-4.
    """
    return fbank(waveform.double() * INTEGER_SCALE, sampling_rate=sampling_rate, num_bins=num_bins)


def mfcc(waveform: Tensor, *, sampling_rate: int = 16_000, num_coefficients: int = 13, num_bins: int = 23) -> Tensor:
    """Compute MFCC, C0 first, lifter 22: (..., samples) to (..., frames, coefficients)."""
    return _cepstrum(fbank(waveform, sampling_rate=sampling_rate, num_bins=num_bins), num_coefficients)


def _in_cepstrum(energies: Tensor, num_coefficients: int) -> Tensor:
    """Return so many cepstral coefficients of log energies; the energies themselves for 0."""
    return _cepstrum(energies, num_coefficients) if num_coefficients else energies


def _cepstrum(energies: Tensor, num_coefficients: int) -> Tensor:
    """Transform log energies (..., bins) to cepstral coefficients with a lifter (..., coefficients)."""
    num_bins = energies.shape[-1]
    count = partial(torch.arange, dtype=energies.dtype, device=energies.device)
    bins, orders = count(num_bins), count(num_coefficients)[:, None]
    transform = torch.cos(math.pi / num_bins * (bins + 0.5) * orders) * math.sqrt(2 / num_bins)
    transform[0] = math.sqrt(1 / num_bins)
    lifter = 1 + LIFTER / 2 * torch.sin(math.pi * orders / LIFTER)
    return energies @ (transform * lifter).T


def deltas(features: Tensor, *, window: int = 5) -> Tensor:
    """Compute deltas over `window` frames, with repeated edges: (..., frames, dim)."""
    reach = window // 2
    slopes = torch.arange(-reach, reach + 1, device=features.device, dtype=features.dtype)
    padded = torch.cat([features[..., :1, :]] * reach + [features] + [features[..., -1:, :]] * reach, -2)
    return padded.unfold(-2, window, 1) @ slopes / slopes.square().sum()


def mfcc_with_deltas(waveform: Tensor, *, sampling_rate: int = 16_000) -> Tensor:
    """Compute 13 MFCC with deltas and delta-deltas, first targets of HuBERT: (..., samples) to (..., frames, 39)."""
    return _with_deltas(mfcc(waveform, sampling_rate=sampling_rate))


def _with_deltas(features: Tensor) -> Tensor:
    """Append deltas and delta-deltas: (..., frames, dim) to (..., frames, 3 * dim)."""
    slopes = deltas(features)
    return torch.cat([features, slopes, deltas(slopes)], -1)


def _fft_size(window: int) -> int:
    return 1 << (window - 1).bit_length()


@lru_cache(maxsize=16)
@torch.inference_mode(mode=False)  # cached beyond the current inference mode
def mel_bank(num_bins: int, sampling_rate: int, low_hz: float, high_hz: float, *, window: int) -> Tensor:
    """Return triangular filters on the mel scale of Kaldi: (num_bins, size / 2 + 1), for `spectra`."""
    size, nyquist = _fft_size(window), sampling_rate / 2
    if not 0 <= low_hz < high_hz <= nyquist:
        raise ConfigurationError(
            f"Mel bins from {low_hz:g} to {high_hz:g} Hz were asked for; a sampling rate of {sampling_rate} Hz "
            f"holds 0 to {nyquist:g} Hz. Choose low_hz below high_hz, both in that range."
        )

    def mel(hertz: Tensor) -> Tensor:
        return 1127 * torch.log1p(hertz / 700)

    edges = torch.tensor([low_hz, high_hz], dtype=torch.float64, device="cpu")
    lowest, highest = mel(edges)
    corners = torch.linspace(lowest, highest, num_bins + 2, dtype=torch.float64, device="cpu")[:, None]
    points = mel(torch.arange(size // 2 + 1, dtype=torch.float64, device="cpu") * sampling_rate / size)
    rising = (points - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - points) / (corners[2:] - corners[1:-1])
    bank = F.relu(torch.minimum(rising, falling))
    if silent := int((bank.amax(1) == 0).sum()):
        raise ConfigurationError(
            f"{silent} of {num_bins} mel bins at {sampling_rate} Hz contain no frequency: the lowest are narrower than "
            f"the {sampling_rate / size:.1f} Hz from one frequency to the next. Use fewer bins, or resample the clip."
        )
    return bank
