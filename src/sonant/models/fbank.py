"""Mel energies as an extractor: the first step of models that take no waveforms."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from sonant.audio.mel import MelStatistics, filter_bank_frames, stacked_fbank, stacked_reach, window_and_shift
from sonant.layers.clip_statistics import ClipStatistics, by_clip
from sonant.layers.packed import Packed, require_steps


class StackedFbank(nn.Module):
    """Packed waveforms to normalized mel energies, joined in pairs; it has no weights and gives no gradient."""

    def __init__(self, *, num_bins: int = 80, stack: int = 2, sampling_rate: int = 16_000) -> None:
        super().__init__()
        self.num_bins, self.stack, self.sampling_rate = num_bins, stack, sampling_rate

    def clip_statistics(self) -> MelStatistics:
        """An empty account of the mel energies of a clip."""
        return MelStatistics(sampling_rate=self.sampling_rate, num_bins=self.num_bins)

    @torch.no_grad()
    def forward(self, speech: Packed, *, statistics: Sequence[ClipStatistics | None] | None = None) -> Packed:
        """Waveforms (total_samples,) to frames (total_frames, stack * num_bins).

        `statistics`: for each clip that is a window, those of the whole clip; None for one that is a whole, or for all.
        """
        reach, _ = stacked_reach(sampling_rate=self.sampling_rate, stack=self.stack)
        compute = partial(stacked_fbank, sampling_rate=self.sampling_rate, num_bins=self.num_bins, stack=self.stack)
        return by_each_clip(speech, compute, reach=reach, statistics=statistics)


class FilterBank(nn.Module):
    """Packed waveforms to log-mel energies or MFCC, with deltas; it has no weights and gives no gradient."""

    def __init__(
        self, *, num_bins: int, num_coefficients: int, with_deltas: bool, by_clip: bool, sampling_rate: int = 16_000
    ) -> None:
        super().__init__()
        self.num_bins, self.num_coefficients = num_bins, num_coefficients
        self.with_deltas, self.by_clip, self.sampling_rate = with_deltas, by_clip, sampling_rate

    def clip_statistics(self) -> MelStatistics | None:
        """An empty account of the features of a clip; None where they are not normalized by it."""
        if not self.by_clip:
            return None
        return MelStatistics(
            sampling_rate=self.sampling_rate, num_bins=self.num_bins, num_coefficients=self.num_coefficients
        )

    @torch.no_grad()
    def forward(self, speech: Packed, *, statistics: Sequence[ClipStatistics | None] | None = None) -> Packed:
        """Waveforms (total_samples,) to frames (total_frames, dim); `statistics` as in `StackedFbank`."""
        compute = partial(
            filter_bank_frames,
            sampling_rate=self.sampling_rate,
            num_bins=self.num_bins,
            num_coefficients=self.num_coefficients,
            with_deltas=self.with_deltas,
            by_clip=self.by_clip,
        )
        reach, _ = window_and_shift(self.sampling_rate)
        return by_each_clip(speech, compute, reach=reach, statistics=statistics)


def by_each_clip(
    speech: Packed,
    compute: Callable[..., Tensor],
    *,
    reach: int,
    statistics: Sequence[ClipStatistics | None] | None,
) -> Packed:
    """Compute mel features of each clip by itself, in float32 at least.

    Args:
        compute: a waveform (samples,), and `statistics` of the whole clip or None, to frames (frames, dim).
        reach: samples of one frame.

    Raises TooShortAudio: a clip is shorter.
    """
    require_steps(speech.sizes, reach, "one frame", unit="samples")
    of_clips = by_clip(MelStatistics, statistics, len(speech))
    with torch.autocast(speech.values.device.type, enabled=False):
        frames = [compute(clip, statistics=known) for clip, known in zip(speech, of_clips, strict=True)]
    features = Packed.pack(frames)
    return features.with_values(features.values.to(speech.values.dtype))
