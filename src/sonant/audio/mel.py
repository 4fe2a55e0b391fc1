"""Kaldi-compatible log-mel filter banks and MFCC, in torch: the same on a CPU and on a GPU.

Frames are Kaldi's with `snip-edges`: only whole windows count, so one second gives 98 frames, not 100.
Source: Kaldi `feature-window.cc`, `mel-computations.cc`, `feature-mfcc.cc`; dither is always 0.
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.errors import TooShortAudio

FRAME_SECONDS = 0.025
SHIFT_SECONDS = 0.010
PREEMPHASIS = 0.97
LIFTER = 22.0


def num_mel_frames(num_samples: int, *, sampling_rate: int = 16_000) -> int:
    """Frames of a clip: windows of 25 ms every 10 ms that lie wholly inside it."""
    window, shift = round(FRAME_SECONDS * sampling_rate), round(SHIFT_SECONDS * sampling_rate)
    return max(0, (num_samples - window) // shift + 1)


def fbank(
    waveform: Tensor, *, sampling_rate: int = 16_000, num_bins: int = 80, low_hz: float = 20.0, high_hz: float = 0.0
) -> Tensor:
    """Log-mel filter bank energies.

    Args:
        waveform: float (..., samples).
        num_bins: mel bins.
        low_hz, high_hz: the lowest and highest frequency; `high_hz` of 0 or less counts from the Nyquist frequency.

    Returns:
        (..., frames, num_bins), natural logarithm, floored at float32's epsilon.

    Raises:
        TooShortAudio: less than one window of 25 ms.
    """
    window, shift = round(FRAME_SECONDS * sampling_rate), round(SHIFT_SECONDS * sampling_rate)
    if waveform.shape[-1] < window:
        raise TooShortAudio(f"A clip has {waveform.shape[-1]} samples; one window of 25 ms needs {window}.")
    frames = waveform.float().unfold(-1, window, shift)  # (..., frames, window)
    frames = frames - frames.mean(-1, keepdim=True)
    frames = frames - PREEMPHASIS * torch.cat([frames[..., :1], frames[..., :-1]], -1)
    size = 1 << (window - 1).bit_length()
    taper = torch.hann_window(window, periodic=False, device=waveform.device) ** 0.85  # Kaldi's "povey"
    power = torch.fft.rfft(frames * taper, size).abs().square()  # (..., frames, size / 2 + 1)
    nyquist = sampling_rate / 2
    bank = _mel_bank(num_bins, size, sampling_rate, low_hz, high_hz if high_hz > 0 else nyquist + high_hz)
    return (power @ bank.to(power.device).T).clamp(min=torch.finfo(torch.float32).eps).log()


def mfcc(waveform: Tensor, *, sampling_rate: int = 16_000, num_coefficients: int = 13, num_bins: int = 23) -> Tensor:
    """Mel-frequency cepstral coefficients, C0 first, liftered by 22: (..., samples) to (..., frames, coefficients)."""
    energies = fbank(waveform, sampling_rate=sampling_rate, num_bins=num_bins)
    bins, orders = torch.arange(num_bins), torch.arange(num_coefficients)[:, None]
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


@lru_cache(maxsize=16)
def _mel_bank(num_bins: int, size: int, sampling_rate: int, low_hz: float, high_hz: float) -> Tensor:
    """Triangles that are straight on the mel scale, as Kaldi draws them: (num_bins, size / 2 + 1)."""

    def mel(hertz: Tensor) -> Tensor:
        return 1127 * torch.log1p(hertz / 700)

    edges = torch.tensor([low_hz, high_hz], dtype=torch.float64)
    lowest, highest = mel(edges)
    corners = torch.linspace(lowest, highest, num_bins + 2, dtype=torch.float64)[:, None]
    points = mel(torch.arange(size // 2 + 1, dtype=torch.float64) * sampling_rate / size)
    rising = (points - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - points) / (corners[2:] - corners[1:-1])
    return F.relu(torch.minimum(rising, falling)).float()
