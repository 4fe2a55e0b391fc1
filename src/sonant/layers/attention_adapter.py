"""Adapters after each Transformer layer, which adapt a shared model to one language (MMS)."""

import torch.nn.functional as F
from torch import Tensor, nn


class AttentionAdapter(nn.Module):
    """Norm, projection to a narrow width, ReLU, projection back; the caller adds the result to the input.

    Args:
        dim: width of the model.
        adapter_dim: narrow width.

    Source: MMS (arXiv 2305.13516); transformers `Wav2Vec2AttnAdapterLayer`, whose norm has an epsilon of 1e-5 whatever
    the epsilon of the model's other norms.
    """

    def __init__(self, dim: int, adapter_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.inner, self.outer = nn.Linear(dim, adapter_dim), nn.Linear(adapter_dim, dim)

    def forward(self, frames: Tensor) -> Tensor:
        """(total, dim) to (total, dim)."""
        return self.outer(F.relu(self.inner(self.norm(frames))))
