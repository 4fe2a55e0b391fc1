"""Kaldi-compatible log-mel filter banks and MFCC, in torch: the same on a CPU and on a GPU.

Frames are Kaldi's with `snip-edges`: only whole windows count, so one second gives 98 frames, not 100.
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
MIN_SAMPLING_RATE = 100  # at which windows begin a sample apart
ENERGY_FLOOR = torch.finfo(torch.float32).eps
LIFTER = 22.0
INTEGER_SCALE = 2.0**15  # Kaldi reads 16-bit samples as they are
VARIANCE_FLOOR = 1e-7  # of SeamlessM4TFeatureExtractor


def window_and_shift(sampling_rate: int) -> tuple[int, int]:
    """Samples of a window of 25 ms, and samples from one to the next, 10 ms on; fractions are dropped, as by Kaldi."""
    if sampling_rate < MIN_SAMPLING_RATE:
        raise ConfigurationError(
            f"sampling_rate={sampling_rate} was given; mel features need {MIN_SAMPLING_RATE} Hz or more. "
            "Give samples a second, not kilohertz."
        )
    return sampling_rate // 40, sampling_rate // 100


def num_mel_frames(num_samples: int, *, sampling_rate: int = 16_000) -> int:
    """Frames of a clip: windows of 25 ms every 10 ms that lie wholly inside it."""
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
    """Log-mel filter bank energies.

    Args:
        waveform: float (..., samples).
        num_bins: mel bins.
        low_hz, high_hz: the lowest and highest frequency; `high_hz` of 0 or less counts from the Nyquist frequency.

    Returns:
        (..., frames, num_bins), natural logarithm, floored at float32's epsilon; float32, or float64 as the waveform.

    Raises:
        TooShortAudio: less than one window of 25 ms.
        ConfigurationError: the frequencies are in disorder or above the Nyquist frequency, or there are so many bins
            that some lie between two frequencies of the transform and hear nothing.
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
    """Windows (..., window) to complex spectra (..., size / 2 + 1), linear in them; the FFT's size is a power of 2."""
    window = windows.shape[-1]
    windows = windows - windows.mean(-1, keepdim=True)
    windows = windows - PREEMPHASIS * torch.cat([windows[..., :1], windows[..., :-1]], -1)
    taper = torch.hann_window(window, periodic=False, dtype=windows.dtype, device=windows.device) ** 0.85
    return torch.fft.rfft(windows * taper, _fft_size(window))  # the taper is Kaldi's "povey"


class MelStatistics:
    """Mean and variance of each mel bin over a whole clip, gathered from its samples in blocks of any length.

    So a window of a clip too long to be seen at once can be normalized as the whole would be. Float64 throughout.
    """

    def __init__(self, *, sampling_rate: int = 16_000, num_bins: int = 80) -> None:
        self.sampling_rate, self.num_bins = sampling_rate, num_bins
        self._held = np.zeros(0, np.float32)  # samples from the next mel frame on
        zeros = torch.zeros(num_bins, dtype=torch.float64, device="cpu")
        self._moments = RunningMoments(zeros, zeros)

    def update(self, samples: np.ndarray) -> None:
        """Take in the next samples of the clip, (samples,)."""
        held = np.concatenate([self._held, samples.astype(np.float32)])
        new = num_mel_frames(len(held), sampling_rate=self.sampling_rate)
        self._held = held[new * window_and_shift(self.sampling_rate)[1] :]
        if new:
            energies = _kaldi_fbank(torch.from_numpy(held), self.sampling_rate, self.num_bins)
            mean = energies.mean(0)
            self._moments.add(new, mean, (energies - mean).square().sum(0))

    def scaled(self, shift: float, scale: float) -> MelStatistics:  # noqa: ARG002 - each window loses its mean anyway
        """The statistics of `(samples - shift) / scale`, which adds a constant; exact but for energies at the floor."""
        other = MelStatistics(sampling_rate=self.sampling_rate, num_bins=self.num_bins)
        other._moments = replace(self._moments, mean=self._moments.mean - 2 * math.log(scale))
        return other

    def normalize(self, energies: Tensor) -> Tensor:
        """Energies (frames, num_bins) less the mean of the whole clip, over its (unbiased) deviation."""
        variance = self._moments.squares / max(self._moments.count - 1, 1)
        return _normalized(energies, self._moments.mean.to(energies), variance.to(energies))


def stacked_fbank(
    waveform: Tensor,
    *,
    sampling_rate: int = 16_000,
    num_bins: int = 80,
    stack: int = 2,
    statistics: MelStatistics | None = None,
) -> Tensor:
    """Log-mel energies of one clip, each bin normalized over the clip, neighboring frames joined.

    Args:
        waveform: float (samples,).
        num_bins: mel bins from 20 Hz to the Nyquist frequency.
        stack: mel frames that are joined to one; those left over at the end are dropped.
        statistics: of the whole clip that this is a window of; None takes it for a whole.

    Returns:
        float32 (frames, stack * num_bins); the earliest of the joined frames comes first.

    Source: w2v-BERT 2.0; equal to transformers' `SeamlessM4TFeatureExtractor`.
    """
    energies = _kaldi_fbank(waveform, sampling_rate, num_bins)
    if statistics is None:
        variance = (energies - energies.mean(0)).square().sum(0) / max(len(energies) - 1, 1)
        normalized = _normalized(energies, energies.mean(0), variance)
    else:
        normalized = statistics.normalize(energies)
    whole = len(energies) // stack * stack
    return normalized[:whole].float().unflatten(0, (-1, stack)).flatten(1)


def stacked_reach(*, sampling_rate: int = 16_000, stack: int = 2) -> tuple[int, int]:
    """Samples that one frame of `stacked_fbank` is made of, and samples from one to the next."""
    window, shift = window_and_shift(sampling_rate)
    return window + (stack - 1) * shift, stack * shift


def _normalized(energies: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    return (energies - mean) / (variance + VARIANCE_FLOOR).sqrt()


def _kaldi_fbank(waveform: Tensor, sampling_rate: int, num_bins: int) -> Tensor:
    """Energies, float64, of a waveform in [-1, 1) as of 16-bit samples: the logarithm's floor lies at their level.

    In float32 the transform's rounding moves the lowest bins of loud clips by 1e-4.
    """
    return fbank(waveform.double() * INTEGER_SCALE, sampling_rate=sampling_rate, num_bins=num_bins)


def mfcc(waveform: Tensor, *, sampling_rate: int = 16_000, num_coefficients: int = 13, num_bins: int = 23) -> Tensor:
    """Mel-frequency cepstral coefficients, C0 first, liftered by 22: (..., samples) to (..., frames, coefficients)."""
    energies = fbank(waveform, sampling_rate=sampling_rate, num_bins=num_bins)
    count = partial(torch.arange, dtype=torch.float32, device=energies.device)
    bins, orders = count(num_bins), count(num_coefficients)[:, None]
    transform = torch.cos(math.pi / num_bins * (bins + 0.5) * orders) * math.sqrt(2 / num_bins)
    transform[0] = math.sqrt(1 / num_bins)
    lifter = 1 + LIFTER / 2 * torch.sin(math.pi * orders / LIFTER)
    return energies @ (transform * lifter).to(energies).T


def deltas(features: Tensor, *, window: int = 5) -> Tensor:
    """The slope of each feature over `window` frames, edges repeated: (..., frames, dim) to the same."""
    reach = window // 2
    slopes = torch.arange(-reach, reach + 1, device=features.device, dtype=features.dtype)
    padded = torch.cat([features[..., :1, :]] * reach + [features] + [features[..., -1:, :]] * reach, -2)
    return padded.unfold(-2, window, 1) @ slopes / slopes.square().sum()


def mfcc_with_deltas(waveform: Tensor, *, sampling_rate: int = 16_000) -> Tensor:
    """13 MFCC with their first and second slopes, HuBERT's first targets: (..., samples) to (..., frames, 39)."""
    cepstra = mfcc(waveform, sampling_rate=sampling_rate)
    slopes = deltas(cepstra)
    return torch.cat([cepstra, slopes, deltas(slopes)], -1)


def _fft_size(window: int) -> int:
    return 1 << (window - 1).bit_length()


@lru_cache(maxsize=16)
@torch.inference_mode(mode=False)  # what is kept outlives the modes of the call that made it
def mel_bank(num_bins: int, sampling_rate: int, low_hz: float, high_hz: float, *, window: int) -> Tensor:
    """Triangles that are straight on the mel scale, as Kaldi draws them: (num_bins, size / 2 + 1), for `spectra`."""
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
            f"{silent} of {num_bins} mel bins at {sampling_rate} Hz hear nothing: the lowest are narrower than the "
            f"{sampling_rate / size:.1f} Hz from one frequency to the next. Use fewer bins, or resample the clip."
        )
    return bank
