"""Targets that need no clustering: codes of a random projection of mel energies, as in BEST-RQ."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sonant.audio.mel import stacked_fbank
from sonant.data import WaveformStore
from sonant.layers.random_projection import RandomProjectionQuantizer


@dataclass(frozen=True, kw_only=True)
class RandomProjectionTargets:
    """Labels of each frame (50 a second): the code of its mel energies, normalized over the clip. Nothing is fitted.

    Masked prediction on them is BEST-RQ but for these parts. BEST-RQ fills masked stretches of the input with noise,
    N(0, 0.1); here a learned vector stands for masked frames behind the projection. It makes a frame of 40 ms from
    four mel frames, which convolutions shorten; here a frame is 20 ms and two mel frames joined. It has a linear
    softmax; here frames and labels are compared by cosine, over a temperature.

    Attributes:
        codebook_size, code_dim: of the codebook.
        num_bins: of the mel energies.
        seed: of projection and codebook.

    Source: BEST-RQ (arXiv 2202.01855).
    """

    codebook_size: int = 8192
    code_dim: int = 16
    num_bins: int = 80
    seed: int = 0

    @property
    def num_clusters(self) -> int:
        """The number of labels."""
        return self.codebook_size

    def labels(self, waveforms: WaveformStore, numbers: Iterable[int], device: torch.device | str) -> Iterator[Tensor]:
        """The labels of the recordings of these numbers: int64 (frames,), in that order."""
        quantizer = RandomProjectionQuantizer(
            2 * self.num_bins, codebook_size=self.codebook_size, code_dim=self.code_dim, seed=self.seed
        ).to(device)
        for number in numbers:
            clip = torch.from_numpy(waveforms[number]).to(device)
            single = stacked_fbank(clip, num_bins=self.num_bins, stack=1)
            # A model on waveforms has a frame for the last window even where no second one fits: it counts twice.
            single = single if len(single) % 2 == 0 else torch.cat([single, single[-1:]])
            yield quantizer(single.unflatten(0, (-1, 2)).flatten(1))[:, 0]
