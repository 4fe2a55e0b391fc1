"""Quantizers on padded batches: code vectors (batch, time, dim), and the codes, int64 (batch, time, num_codebooks)."""

import torch
from torch import Tensor, nn

from sonant.inference.padded.clips import Padded, clip_norm
from sonant.layers.gumbel_quantizer import GumbelQuantizer
from sonant.layers.kmeans_quantizer import KMeansQuantizer


class PaddedGumbelQuantizer(nn.Module):
    """`GumbelQuantizer` without noise."""

    def __init__(self, quantizer: GumbelQuantizer) -> None:
        super().__init__()
        self.plain = quantizer

    def forward(self, frames: Padded) -> tuple[Tensor, Tensor]:
        """Frames (batch, time, dim) to their code vectors and codes."""
        codes = self.plain.logits(frames.values).argmax(-1)
        return _vectors(self.plain, codes), codes


class PaddedKMeansQuantizer(nn.Module):
    """`KMeansQuantizer`."""

    def __init__(self, quantizer: KMeansQuantizer) -> None:
        super().__init__()
        self.plain = quantizer

    def forward(self, frames: Padded) -> tuple[Tensor, Tensor]:
        """Frames (batch, time, dim) to their code vectors and codes."""
        plain = self.plain
        projected = clip_norm(plain.norm, plain.projection(frames.values.transpose(1, 2)), frames.lengths)
        rows = projected.transpose(1, 2).unflatten(2, (plain.num_codebooks, -1))  # (batch, time, num_codebooks, width)
        codebooks = plain.codebook.transpose(0, 1).expand(plain.num_codebooks, -1, -1)  # (num_codebooks, codes, width)
        products = torch.matmul(rows.transpose(1, 2), codebooks.transpose(1, 2))  # (batch, num_codebooks, time, codes)
        codes = (codebooks.square().sum(-1)[:, None] - 2 * products).argmin(-1).transpose(1, 2)
        return _vectors(plain, codes), codes


def _vectors(quantizer: GumbelQuantizer | KMeansQuantizer, codes: Tensor) -> Tensor:
    """The vectors of codes, (batch, time, dim)."""
    return quantizer.vectors(codes.flatten(0, 1)).unflatten(0, codes.shape[:2])
