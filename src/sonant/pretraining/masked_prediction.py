"""Masked prediction of cluster labels: the objective of HuBERT and, on mixed speech, of WavLM."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.layers.packed import Packed
from sonant.loss import Loss
from sonant.models import WaveformTransformer


@dataclass(frozen=True, eq=False)
class MaskedBatch:
    """What one step learns from.

    Attributes:
        speech: waveforms (total_samples,), mixed and normalised.
        targets: int64 (total_frames,), the cluster of each frame of the clean speech.
        mask: bool (total_frames,), the frames that the model does not see.
    """

    speech: Packed
    targets: Tensor
    mask: Tensor

    def to(self, device: torch.device | str) -> "MaskedBatch":
        return MaskedBatch(self.speech.to(device), self.targets.to(device), self.mask.to(device))

    @property
    def num_samples(self) -> int:
        return len(self.speech.values)


class MaskedPrediction(nn.Module):
    """Predict the cluster of each masked frame, by cosine with an embedding of each cluster.

    Args:
        backbone: the model to pretrain.
        num_clusters: how many labels there are.
        projection_dim: width in which frames and clusters are compared.
        temperature: divides the cosines.
        unmasked_weight: weight of the same loss on the frames that are seen; 0 in the published runs.
        feature_penalty: weight of the mean square of the extractor's output.
        extractor_gradient: factor on the gradient that reaches the extractor (fairseq's `feature_grad_mult`).

    Source: HuBERT (arXiv 2106.07447, section II); fairseq `models/hubert`, `criterions/hubert_criterion.py`.
    """

    def __init__(
        self,
        backbone: WaveformTransformer,
        num_clusters: int,
        *,
        projection_dim: int = 256,
        temperature: float = 0.1,
        unmasked_weight: float = 0.0,
        feature_penalty: float = 10.0,
        extractor_gradient: float = 0.1,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.projection = nn.Linear(backbone.dim, projection_dim)
        # fairseq draws them from [0, 1), so that all of them start close together; a short run cannot afford that.
        self.label_embeddings = nn.Parameter(torch.randn(num_clusters, projection_dim))
        self.temperature, self.unmasked_weight, self.feature_penalty = temperature, unmasked_weight, feature_penalty
        self.extractor_gradient = extractor_gradient

    def loss(self, batch: MaskedBatch) -> Loss:
        """Summed over the masked frames."""
        features = self.backbone.extractor(batch.speech)
        features = features.with_values(_scale_gradient(features.values, self.extractor_gradient))
        penalty = features.values.float().square().mean()
        output = self.backbone.encode(features, mask=batch.mask, layers=["last"]).last
        assert output is not None
        seen = ~batch.mask
        masked_loss, masked_metrics = self._score(output[batch.mask], batch.targets[batch.mask], "masked")
        # The frames in view are scored without a gradient unless their loss counts.
        with torch.set_grad_enabled(self.unmasked_weight > 0 and torch.is_grad_enabled()):
            seen_loss, seen_metrics = self._score(output[seen], batch.targets[seen], "unmasked")
        count = int(batch.mask.sum())
        total = masked_loss + self.unmasked_weight * seen_loss + self.feature_penalty * count * penalty
        return Loss(total, count, {**masked_metrics, **seen_metrics, "feature_penalty": (penalty.item(), 1)})

    def logits(self, frames: Tensor) -> Tensor:
        """(rows, dim) of the backbone's output to (rows, clusters), float32."""
        projected = F.normalize(self.projection(frames).float(), dim=-1)
        with torch.autocast(frames.device.type, enabled=False):
            return projected @ F.normalize(self.label_embeddings.float(), dim=-1).T / self.temperature

    def _score(self, frames: Tensor, targets: Tensor, name: str) -> tuple[Tensor, dict[str, tuple[float, float]]]:
        logits = self.logits(frames)
        loss = F.cross_entropy(logits, targets, reduction="sum")
        with torch.no_grad():
            log_probabilities = logits.log_softmax(-1)
            entropy = -(log_probabilities.exp() * log_probabilities).sum()
            correct = (logits.argmax(-1) == targets).sum()
        count = len(targets)
        return loss, {
            f"{name}_loss": (loss.item(), count),
            f"{name}_accuracy": (correct.item(), count),
            f"{name}_entropy": (entropy.item(), count),
        }


def _scale_gradient(values: Tensor, factor: float) -> Tensor:
    """The same values; their gradient times a factor, and none at all for 0."""
    if factor == 0:
        return values.detach()
    return values if factor == 1 else values * factor + values.detach() * (1 - factor)
