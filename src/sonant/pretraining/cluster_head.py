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
    """Return the cross-entropy of labels by logits, summed over rows, and the metrics of the rows.

    Args:
        logits: (rows, classes); with codebooks (rows, codebooks * classes).
        labels: int64 (rows,), or (rows, codebooks), over which loss and metrics are averaged.
        name: before those of the metrics.
    """
    count, codebooks = len(labels), labels.shape[1] if labels.ndim > 1 else 1
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32)).unflatten(1, (codebooks, -1))
    log_probabilities = logits.log_softmax(-1)  # (rows, codebooks, classes)
    loss = F.nll_loss(log_probabilities.flatten(0, 1), labels.flatten(), reduction="sum") / codebooks
    with torch.no_grad():
        entropy = -(log_probabilities.exp() * log_probabilities).sum() / codebooks
        predicted = logits.argmax(-1)
        correct = (predicted == labels.view_as(predicted)).sum() / codebooks
    return loss, {
        f"{name}_loss": (loss, count),
        f"{name}_accuracy": (correct, count),
        f"{name}_entropy": (entropy, count),
        f"{name}_clusters_in_use": count_labels(predicted, logits.shape[1] * logits.shape[2]),
    }


def count_labels(labels: Tensor, num_labels: int) -> Tensor:
    """Count labels (rows,), or (rows, codebooks) of which each has its own: float32 (num_labels,)."""
    codebooks = labels.shape[1] if labels.ndim > 1 else 1
    first = torch.arange(codebooks, device=labels.device) * (num_labels // codebooks)
    return count_classes((labels.view(-1, codebooks) + first).flatten(), num_labels)
