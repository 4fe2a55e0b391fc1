"""Prediction of labels from frames by cosines with an embedding of each label."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.loss import count_classes

# A loss, and metrics as (sum, count) or class counts.
Scored = tuple[Tensor, dict[str, tuple[Tensor, Tensor | int] | Tensor]]


class ClusterHead(nn.Module):
    """Layer norm, projection, and cosines with label embeddings: the head of an inner layer.

    The last layer of a model with norms first has passed a layer norm, an inner one has not.
    """

    def __init__(self, dim: int, num_labels: int, *, projection_dim: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.norm = nn.LayerNorm(dim)
        self.projection = nn.Linear(dim, projection_dim)
        self.label_embeddings = nn.Parameter(torch.randn(num_labels, projection_dim))

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames (rows, dim) to logits, float32 (rows, num_labels)."""
        frames = self.norm(frames.to(self.norm.weight.dtype))
        return cosine_logits(self.projection(frames), self.label_embeddings, self.temperature)


def cosine_logits(rows: Tensor, others: Tensor, temperature: float) -> Tensor:
    """Cosines of rows (rows, dim) with others (others, dim) over a temperature: float32 (rows, others).

    Both are normalized and multiplied once, outside autocast.
    """
    with torch.autocast(rows.device.type, enabled=False):
        return F.normalize(rows.float(), dim=-1) @ F.normalize(others.float(), dim=-1).T / temperature


def score(logits: Tensor, labels: Tensor, name: str) -> Scored:
    """Return the cross-entropy of labels (rows,), summed, by logits (rows, labels), and the metrics of the rows."""
    log_probabilities = logits.log_softmax(-1)
    loss = F.nll_loss(log_probabilities, labels, reduction="sum")
    with torch.no_grad():
        entropy = -(log_probabilities.exp() * log_probabilities).sum()
        predicted = logits.argmax(-1)
        correct = (predicted == labels).sum()
    count = len(labels)
    return loss, {
        f"{name}_loss": (loss, count),
        f"{name}_accuracy": (correct, count),
        f"{name}_entropy": (entropy, count),
        f"{name}_clusters_in_use": count_classes(predicted, logits.shape[1]),
    }
