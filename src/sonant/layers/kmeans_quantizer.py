"""Product quantization by the nearest code vector, trained by gradient: the k-means variant of vq-wav2vec."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.errors import ConfigurationError
from sonant.layers.clip_norm import ClipGroupNorm
from sonant.layers.packed import Packed


@dataclass(frozen=True, eq=False)
class Clustered:
    """Quantized frames; for projected frames z, their nearest code vectors e, and stop-gradient sg.

    Attributes:
        values: (total, dim), equal to e; the gradient goes to z (straight-through).
        codes: int64 (total, num_codebooks), the numbers of e.
        codebook_loss: scalar, mean((e - sg(z))**2), which moves the codebook.
        commitment_loss: scalar, mean((z - sg(e))**2), which moves the frames.
    """

    values: Tensor
    codes: Tensor
    codebook_loss: Tensor
    commitment_loss: Tensor


class KMeansQuantizer(nn.Module):
    """Projection, group norm over the frames of each clip, and the nearest vector of each codebook.

    Args:
        dim: width of the frames and of the result.
        shared_codebook: all codebooks have the same vectors (fairseq: `combine_groups`).

    Attributes:
        codebook: (codebook_size, 1, dim / num_codebooks) if shared, otherwise (codebook_size, num_codebooks,
            dim / num_codebooks).

    Source: vq-wav2vec (arXiv 1910.05453, section 3.2); fairseq `modules/kmeans_vector_quantizer.py`.
    """

    def __init__(self, dim: int, *, num_codebooks: int, codebook_size: int, shared_codebook: bool = False) -> None:
        super().__init__()
        if dim % num_codebooks:
            raise ConfigurationError(f"dim={dim} cannot be divided among {num_codebooks} codebooks; choose a multiple.")
        self.num_codebooks, self.codebook_size, self.shared_codebook = num_codebooks, codebook_size, shared_codebook
        self.projection = nn.Conv1d(dim, dim, 1, groups=num_codebooks, bias=False)
        self.norm = ClipGroupNorm(dim, groups=num_codebooks)
        self.codebook = nn.Parameter(
            0.01 * torch.randn(codebook_size, 1 if shared_codebook else num_codebooks, dim // num_codebooks)
        )

    def forward(self, features: Packed) -> Clustered:
        """Quantize frames (total, dim)."""
        frames = self._frames(features)
        wide = frames.dtype
        codes = self._nearest(frames.detach())
        vectors = self.vectors(codes).to(wide)
        values = vectors.detach() + (frames - frames.detach())  # this order gives exactly the vectors
        return Clustered(
            values.to(features.values.dtype),
            codes,
            F.mse_loss(vectors, frames.detach()),
            F.mse_loss(frames, vectors.detach()),
        )

    @torch.no_grad()
    def start_from(self, features: Packed) -> None:
        """Initialize the code vectors with projected frames (total, dim) drawn at random, distinct if there are enough.

        A shared codebook draws from the channels of all codebooks.
        """
        rows = self._frames(features).unflatten(
            1, (self.num_codebooks, -1)
        )  # (total, num_codebooks, dim / num_codebooks)
        if self.shared_codebook:
            rows = rows.flatten(0, 1)[:, None]
        order = torch.cat([torch.randperm(len(rows)) for _ in range(-(-self.codebook_size // len(rows)))])
        self.codebook.copy_(rows[order[: self.codebook_size].to(rows.device)])

    def _frames(self, features: Packed) -> Tensor:
        """Project and normalize frames: (total, dim), in float32 or wider."""
        maps = self.projection.weight.unflatten(0, (self.num_codebooks, -1))[
            ..., 0
        ]  # (num_codebooks, dim / num_codebooks, dim / num_codebooks)
        projected = torch.einsum("tgi,goi->tgo", features.values.unflatten(1, (self.num_codebooks, -1)), maps)
        normed = self.norm(features.with_values(projected.flatten(1)))
        return normed.to(torch.promote_types(normed.dtype, torch.float32))

    def vectors(self, codes: Tensor) -> Tensor:
        """Vectors of codes (total, num_codebooks), concatenated: (total, dim)."""
        width = self.codebook.shape[1]
        rows = codes if self.shared_codebook else codes * width + torch.arange(width, device=codes.device)
        return F.embedding(rows, self.codebook.flatten(0, 1)).flatten(1)

    @torch.no_grad()
    def _nearest(self, frames: Tensor) -> Tensor:
        """Nearest codes of projected frames (total, dim): int64 (total, num_codebooks)."""
        codebooks = (
            self.codebook.to(frames.dtype).transpose(0, 1).expand(self.num_codebooks, -1, -1)
        )  # (num_codebooks, codebook_size, width)
        with torch.autocast(frames.device.type, enabled=False):
            products = torch.einsum("tgi,gvi->tgv", frames.unflatten(1, (self.num_codebooks, -1)), codebooks)
        return (codebooks.square().sum(-1) - 2 * products).argmin(-1)
