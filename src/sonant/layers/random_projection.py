"""Random-projection quantizer: labels of frames from a projection and codebooks that are never trained."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHUNK_ROWS = 4096


class RandomProjectionQuantizer(nn.Module):
    """Code of largest cosine with each projected row: argmax_v cos(x @ projection, codebook[v]).

    Args:
        input_dim: width of the rows.
        codebook_size, code_dim: number and width of the codes of a codebook.
        num_codebooks: each has a projection.
        seed: of projections and codes.

    Attributes:
        projection: (num_codebooks, input_dim, code_dim), Xavier-uniform; a buffer.
        codebook: (num_codebooks, codebook_size, code_dim), normal, scaled to unit length; a buffer.

    Source: BEST-RQ (arXiv 2202.01855, section 3.1); several codebooks: USM (arXiv 2303.01037).
    """

    projection: Tensor
    codebook: Tensor

    def __init__(
        self, input_dim: int, *, codebook_size: int = 8192, code_dim: int = 16, num_codebooks: int = 1, seed: int = 0
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        limit = math.sqrt(6 / (input_dim + code_dim))
        projection = (2 * torch.rand(num_codebooks, input_dim, code_dim, generator=generator) - 1) * limit
        codebook = F.normalize(torch.randn(num_codebooks, codebook_size, code_dim, generator=generator), dim=-1)
        self.register_buffer("projection", projection)
        self.register_buffer("codebook", codebook)

    @torch.no_grad()
    def forward(self, features: Tensor) -> Tensor:
        """Rows (total, input_dim) to int64 (total, num_codebooks), computed in float32."""
        with torch.autocast(features.device.type, enabled=False):
            labels = [
                (F.normalize(chunk @ self.projection, dim=-1) @ self.codebook.transpose(1, 2)).argmax(-1)
                for chunk in features.to(self.projection.dtype).split(CHUNK_ROWS)
            ]  # (num_codebooks, rows) each
        return torch.cat(labels, dim=1).T
