"""Masked prediction of cluster labels: the objective of HuBERT and, on mixed speech, of WavLM."""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.errors import ConfigurationError
from sonant.layers.masking import SpanMasking
from sonant.layers.scale_gradient import scale_gradient
from sonant.loss import Loss
from sonant.models import MaskableBackbone
from sonant.pretraining.batches import SpeechBatch
from sonant.pretraining.targets import MFCCTargets, Targets


@dataclass(frozen=True, kw_only=True)
class MaskedPredictionConfig:
    """Settings; the defaults are those of the published base models.

    Attributes:
        targets: the labels to predict; clusters of a layer need a previous model.
        masking: the choice of the frames to hide.
        projection_dim: width in which frames and clusters are compared.
        temperature: divides the cosines.
        unmasked_weight: weight of the same loss on the frames that are seen; 0 in the published runs.
        feature_penalty: weight of the mean square of the extractor's output.
        extractor_gradient: factor on the gradient that reaches the extractor (fairseq's `feature_grad_mult`).
    """

    targets: Targets = field(default_factory=MFCCTargets)
    masking: SpanMasking = SpanMasking()
    projection_dim: int = 256
    temperature: float = 0.1
    unmasked_weight: float = 0.0
    feature_penalty: float = 10.0
    extractor_gradient: float = 0.1


class MaskedPrediction(nn.Module):
    """Predict the cluster of each masked frame, by cosine with an embedding of each cluster.

    Args:
        backbone: the model to pretrain.
        config: the number of its targets' clusters is the number of classes.

    Source: HuBERT (arXiv 2106.07447, section II); fairseq `models/hubert`, `criterions/hubert_criterion.py`.
    """

    def __init__(self, backbone: MaskableBackbone, config: MaskedPredictionConfig) -> None:
        super().__init__()
        self.backbone, self.config = backbone, config
        self.projection = nn.Linear(backbone.dim, config.projection_dim)
        # fairseq draws them from [0, 1), so that all of them start close together; a short run cannot afford that.
        self.label_embeddings = nn.Parameter(torch.randn(config.targets.num_clusters, config.projection_dim))

    def loss(self, batch: SpeechBatch) -> Loss:
        """Return the loss, summed over the masked frames, or over all frames where unmasked ones count too."""
        if batch.targets is None:
            raise ConfigurationError("Masked prediction needs the targets of every frame, and the batch has none.")
        features = self.backbone.features(batch.speech)
        features = features.with_values(scale_gradient(features.values, self.config.extractor_gradient))
        penalty = features.values.float().square().mean()
        output = self.backbone.encode(features, mask=batch.mask, layers=["last"]).last
        assert output is not None
        seen = ~batch.mask
        masked_loss, masked_metrics = self._score(output[batch.mask], batch.targets[batch.mask], "masked")
        # The frames in view are scored without a gradient unless their loss counts.
        unmasked_weight = self.config.unmasked_weight
        with torch.set_grad_enabled(unmasked_weight > 0 and torch.is_grad_enabled()):
            seen_loss, seen_metrics = self._score(output[seen], batch.targets[seen], "unmasked")
        count = len(batch.mask) if unmasked_weight > 0 else int(batch.mask.sum())  # frames whose loss counts
        total = masked_loss + unmasked_weight * seen_loss + self.config.feature_penalty * count * penalty
        return Loss(total, count, {**masked_metrics, **seen_metrics, "feature_penalty": (penalty.item(), 1)})

    def head(self) -> dict[str, Tensor]:
        """Return the tensors trained beside the backbone, under the names of checkpoints."""
        projection = {f"final_proj.{name}": value for name, value in self.projection.state_dict().items()}
        return {**projection, "label_embeddings": self.label_embeddings.detach()}

    def logits(self, frames: Tensor) -> Tensor:
        """(rows, dim) of the backbone's output to (rows, clusters), float32."""
        projected = F.normalize(self.projection(frames).float(), dim=-1)
        with torch.autocast(frames.device.type, enabled=False):
            return projected @ F.normalize(self.label_embeddings.float(), dim=-1).T / self.config.temperature

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
