"""Short-time Fourier transform of packed waveforms, and its inverse."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed, lay_with_gaps, steps_at


@dataclass(frozen=True, kw_only=True)
class STFT:
    """Sizes of a short-time Fourier transform with a Hann window.

    Frame t is centered on sample t * hop, with zeros around the clip. Each sample lies within half a hop of the center
    of a frame, so that the inverse is exact.

    Attributes:
        window: samples of the window and of the transform, an even number.
        hop: samples from frame to frame, at most three quarters of a window.
    """

    window: int = 512
    hop: int = 256

    def __post_init__(self) -> None:
        if self.window < 2 or self.window % 2 or not 1 <= self.hop <= self.window * 3 // 4:
            raise ConfigurationError(
                f"window={self.window} and hop={self.hop} samples were given; expected an even window, and a hop of 1 "
                "to three quarters of it, such as window=512 and hop=256."
            )

    @property
    def num_bins(self) -> int:
        """The number of frequencies."""
        return self.window // 2 + 1

    def num_frames(self, num_samples: Tensor) -> Tensor:
        """Return the frames of clips of so many samples: int64 (batch,)."""
        return (num_samples - 1 + self.hop // 2) // self.hop + 1

    def __call__(self, speech: Packed) -> Packed:
        """Transform waveforms (total_samples,) or (total_samples, channels): complex (total_frames, ..., bins)."""
        wide = speech.with_values(speech.values.float().reshape(len(speech.values), -1))
        stream, _ = lay_with_gaps(wide, self.window, self.window)
        frames = self.num_frames(speech.lengths)
        starts = self._starts(_begins(speech.lengths, self.window), frames, stream.device)  # (total_frames,)
        cut = stream.unfold(0, self.window, 1)[starts]  # (total_frames, channels, window)
        spectra = torch.fft.rfft(cut * self._window(stream), dim=-1)
        return Packed(spectra.reshape(len(starts), *speech.values.shape[1:], self.num_bins), frames)

    def inverse(self, spectra: Packed, lengths: Tensor) -> Packed:
        """Return the waveforms (total_samples, ...) of spectra (total_frames, ..., bins); `lengths` in samples.

        Frames are weighted by the window and added, then divided by the sum of the squared windows: of all waveforms
        that with the nearest spectra (Griffin and Lim 1984).
        """
        values = spectra.values
        frames = torch.fft.irfft(values.reshape(len(values), -1, self.num_bins), self.window, dim=-1)
        window, begins = self._window(frames), _begins(lengths, self.window)
        starts = self._starts(begins, spectra.lengths, frames.device)
        places = (starts[:, None] + torch.arange(self.window, device=frames.device)).flatten()
        stream = frames.new_zeros(int(begins[-1] + lengths[-1]) + self.window, frames.shape[1])
        stream = stream.index_add(0, places, (frames * window).transpose(1, 2).flatten(0, 1))
        weight = frames.new_zeros(len(stream)).index_add(0, places, window.square().repeat(len(starts)))
        steps = steps_at(begins, lengths).to(frames.device)
        return Packed((stream[steps] / weight[steps, None]).reshape(len(steps), *values.shape[1:-1]), lengths)

    def _window(self, like: Tensor) -> Tensor:
        return torch.hann_window(self.window, device=like.device)

    def _starts(self, begins: Tensor, frames: Tensor, device: torch.device) -> Tensor:
        """Return the first sample of each frame, from that of each clip: int64 (total_frames,)."""
        number = steps_at(torch.zeros_like(frames), frames)
        return ((begins - self.window // 2).repeat_interleave(frames) + number * self.hop).to(device)


def _begins(lengths: Tensor, gap: int) -> Tensor:
    """Return the place of the first sample of each clip where these are laid with gaps: int64 (batch,)."""
    return gap + lengths.cumsum(0) - lengths + torch.arange(len(lengths)) * gap
