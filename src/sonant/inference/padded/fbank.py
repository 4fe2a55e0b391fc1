"""Mel energies on padded batches, as matrix products, which can be traced into a graph."""

import torch
from torch import Tensor, nn

from sonant.audio.mel import (
    ENERGY_FLOOR,
    INTEGER_SCALE,
    LOWEST_HZ,
    VARIANCE_FLOOR,
    mel_bank,
    spectra,
    window_and_shift,
)
from sonant.inference.padded.clips import Padded
from sonant.models.fbank import StackedFbank


class PaddedFbank(nn.Module):
    """`StackedFbank` on padded batches, in float64: in float32, the quietest bins of loud clips are inaccurate.

    Attributes:
        transform: (window, 2 * (size / 2 + 1)), a window of samples to the real, then the imaginary parts of its
            spectrum; includes mean, pre-emphasis and window function.
        bank: (size / 2 + 1, num_bins).
    """

    transform: Tensor
    bank: Tensor

    def __init__(self, features: StackedFbank) -> None:
        super().__init__()
        rate = features.sampling_rate
        self.num_bins, self.stack = features.num_bins, features.stack
        self.window, self.shift = window_and_shift(rate)
        spectrum = spectra(torch.eye(self.window, dtype=torch.float64) * INTEGER_SCALE)
        self.register_buffer("transform", torch.cat([spectrum.real, spectrum.imag], 1))
        self.register_buffer(
            "bank", mel_bank(self.num_bins, rate, LOWEST_HZ, rate / 2, window=self.window).T.contiguous()
        )

    def forward(self, speech: Padded) -> Padded:
        """Waveforms (batch, samples) to frames (batch, time, stack * num_bins), normalized by clip."""
        lengths = ((speech.lengths - self.window) // self.shift + 1).clamp(min=0)
        energies = Padded(self._energies(speech.values), lengths)
        valid, count = energies.valid[..., None], lengths[:, None, None]
        mean = torch.where(valid, energies.values, 0.0).sum(1, keepdim=True) / count.clamp(min=1)
        centered = torch.where(valid, energies.values - mean, 0.0)
        variance = centered.square().sum(1, keepdim=True) / (count - 1).clamp(min=1)
        frames = (centered / (variance + VARIANCE_FLOOR).sqrt()).float().unflatten(1, (-1, self.stack))
        return Padded(frames.flatten(2), lengths // self.stack)

    def _energies(self, waveforms: Tensor) -> Tensor:
        """(batch, samples) to float64 (batch, mel frames, num_bins), a multiple of `stack` frames."""
        stacks = (waveforms.shape[1] - self.window - (self.stack - 1) * self.shift) // (self.stack * self.shift) + 1
        starts = torch.arange(stacks * self.stack) * self.shift
        windows = waveforms[:, starts[:, None] + torch.arange(self.window)]  # (batch, mel frames, window)
        real, imaginary = (windows.double() @ self.transform).chunk(2, -1)
        power = real.square() + imaginary.square()
        return (power @ self.bank).clamp(min=ENERGY_FLOOR).log()
