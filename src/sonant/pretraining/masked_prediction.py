"""Masked prediction of cluster labels: the objective of HuBERT and, on mixed speech, of WavLM."""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.errors import ConfigurationError
from sonant.layers.masking import SpanMasking
from sonant.loss import Loss, Objective
from sonant.models import MaskableBackbone
from sonant.pretraining.batches import SpeechBatch
from sonant.pretraining.targets import MFCCTargets, Targets


@dataclass(frozen=True, kw_only=True)
class MaskedPredictionConfig:
    """Settings; the defaults are those of the published base models.

    Attributes:
        targets: the labels to predict; clusters of a layer need a previous model.
        projection_dim: width in which cosines are computed.
        temperature: divides the cosines.
        unmasked_weight: weight of the same loss on unmasked frames; 0 in the published runs.
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


class MaskedPrediction(Objective):
    """Cross-entropy of the target of each masked frame; logits are cosines with an embedding of each cluster.

    Source: HuBERT (arXiv 2106.07447, section II); fairseq `models/hubert`, `criterions/hubert_criterion.py`.
    """

    def __init__(self, backbone: MaskableBackbone, config: MaskedPredictionConfig) -> None:
        super().__init__()
        self.backbone, self.config = backbone, config
        self.projection = nn.Linear(backbone.dim, config.projection_dim)
        # fairseq draws them from [0, 1), all close together, which slows a short run down.
        self.label_embeddings = nn.Parameter(torch.randn(config.targets.num_clusters, config.projection_dim))

    def forward(self, batch: SpeechBatch) -> Loss:
        """Return the loss, summed over masked frames, or over all frames if `unmasked_weight` is above 0."""
        if batch.targets is None:
            raise ConfigurationError("Masked prediction needs the targets of every frame, and the batch has none.")
        encoding = self.backbone.encode_masked(
            batch.speech, batch.mask, layers=["last"], extractor_gradient=self.config.extractor_gradient
        )
        penalty = encoding.features.values.float().square().mean()
        output = encoding.encoded.last
        assert output is not None
        masked_loss, masked_metrics = self._score(output, batch.targets, batch.masked, "masked")
        # Unmasked frames with weight 0 are scored for the metrics only, without a gradient.
        unmasked_weight = self.config.unmasked_weight
        with torch.set_grad_enabled(unmasked_weight > 0 and torch.is_grad_enabled()):
            seen_loss, seen_metrics = self._score(output, batch.targets, batch.unmasked, "unmasked")
        count = len(batch.mask) if unmasked_weight > 0 else len(batch.masked)  # frames whose loss counts
        total = masked_loss + unmasked_weight * seen_loss + self.config.feature_penalty * count * penalty
        return Loss(total, count, {**masked_metrics, **seen_metrics, "feature_penalty": (penalty, 1)})

    def head_tensors(self) -> dict[str, Tensor]:
        """Return the tensors of projection and embeddings."""
        return {name: tensor for name, tensor in self.state_dict().items() if not name.startswith("backbone.")}

    def logits(self, frames: Tensor) -> Tensor:
        """Output of the backbone (rows, dim) to float32 (rows, clusters)."""
        projected = F.normalize(self.projection(frames).float(), dim=-1)
        with torch.autocast(frames.device.type, enabled=False):
            return projected @ F.normalize(self.label_embeddings.float(), dim=-1).T / self.config.temperature

    def _score(
        self, output: Tensor, labels: Tensor, frames: Tensor, name: str
    ) -> tuple[Tensor, dict[str, tuple[Tensor, int]]]:
        """Return the loss of the frames with these indices, and its metrics."""
        logits, targets = self.logits(output.index_select(0, frames)), labels.index_select(0, frames)
        loss = F.cross_entropy(logits, targets, reduction="sum")
        with torch.no_grad():
            log_probabilities = logits.log_softmax(-1)
            entropy = -(log_probabilities.exp() * log_probabilities).sum()
            correct = (logits.argmax(-1) == targets).sum()
        count = len(targets)
        return loss, {
            f"{name}_loss": (loss, count),
            f"{name}_accuracy": (correct, count),
            f"{name}_entropy": (entropy, count),
        }
