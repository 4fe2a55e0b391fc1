"""Targets from a random projection of mel energies, as in BEST-RQ."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sonant.audio.mel import stacked_fbank
from sonant.data import WaveformStore
from sonant.layers.random_projection import RandomProjectionQuantizer


@dataclass(frozen=True, kw_only=True)
class RandomProjectionTargets:
    """Code of each frame's log-mel energies, normalized over the clip; 50 frames a second. Nothing is fitted.

    Masked prediction of them differs from BEST-RQ: a learned vector replaces masked frames after the projection
    (BEST-RQ: noise N(0, 0.1) in the input); frames are 20 ms, two mel frames concatenated (40 ms, four mel frames,
    shortened by convolutions); logits are cosines over a temperature (a linear layer).

    Attributes:
        num_bins: mel bins.
        seed: of projection and codebook.

    Source: BEST-RQ (arXiv 2202.01855).
    """

    codebook_size: int = 8192
    code_dim: int = 16
    num_bins: int = 80
    seed: int = 0

    @property
    def num_clusters(self) -> int:
        """Number of labels."""
        return self.codebook_size

    def labels(self, waveforms: WaveformStore, numbers: Iterable[int], device: torch.device | str) -> Iterator[Tensor]:
        """Yield the labels of the recordings with these numbers: int64 (frames,)."""
        quantizer = RandomProjectionQuantizer(
            2 * self.num_bins, codebook_size=self.codebook_size, code_dim=self.code_dim, seed=self.seed
        ).to(device)
        for number in numbers:
            clip = torch.from_numpy(waveforms[number]).to(device)
            single = stacked_fbank(clip, num_bins=self.num_bins, stack=1)
            # A waveform model has a frame for an odd last mel frame too, so repeat it.
            single = single if len(single) % 2 == 0 else torch.cat([single, single[-1:]])
            yield quantizer(single.unflatten(0, (-1, 2)).flatten(1))[:, 0]
