"""A small block behind each Transformer layer, which adapts a shared model to one language (MMS)."""

import torch.nn.functional as F
from torch import Tensor, nn


class AttentionAdapter(nn.Module):
    """Norm, a narrow linear layer, ReLU and a linear layer back; the result is added to the input by the caller.

    Args:
        dim: width of the model.
        adapter_dim: width in the middle.

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
