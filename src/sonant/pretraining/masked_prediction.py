"""Masked prediction of cluster labels: the objective of HuBERT and, on mixed speech, of WavLM."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sonant.errors import ConfigurationError
from sonant.layers.loaded_tensors import load_tensors
from sonant.layers.masking import SpanMasking
from sonant.loss import Loss, Objective
from sonant.models import MaskableBackbone
from sonant.pretraining.batches import SpeechBatch
from sonant.pretraining.cluster_head import ClusterHead, Scored, cosine_logits, count_labels, score
from sonant.pretraining.targets import MFCCTargets, ResidualLayerTargets, Targets
from sonant.pretraining.utterance_contrast import UtteranceContrast, UtteranceContrastConfig


@dataclass(frozen=True, kw_only=True)
class MaskedPredictionConfig:
    """Settings; the defaults are those of the published base models.

    Attributes:
        targets: the labels to predict; clusters of a layer need a previous model.
        projection_dim: width in which cosines are computed.
        temperature: divides the cosines.
        label_head: "fresh" projection and label embeddings, or those of the "file" that the first stage starts from,
            if it was trained to predict the same labels.
        unmasked_weight: weight of the same loss on unmasked frames; 0 in the published runs.
        score_unmasked: score unmasked frames of weight 0 for the log; without it their logits are not computed.
        supervised_layers: hidden states that predict the targets too, each with a head of its own (ILS-SSL: 4 of 12).
        supervision_weight: of the loss of each of them.
        utterance_contrast: for speakers; off by default.
        feature_penalty: weight of the mean square of the extractor's output.
        extractor_gradient: factor on the gradient that reaches the extractor (fairseq's `feature_grad_mult`).
    """

    targets: Targets = field(default_factory=MFCCTargets)
    masking: SpanMasking = SpanMasking()
    projection_dim: int = 256
    temperature: float = 0.1
    label_head: Literal["fresh", "file"] = "fresh"
    unmasked_weight: float = 0.0
    score_unmasked: bool = True
    supervised_layers: tuple[int, ...] = ()
    supervision_weight: float = 1.0
    utterance_contrast: UtteranceContrastConfig = UtteranceContrastConfig()
    feature_penalty: float = 10.0
    extractor_gradient: float = 0.1

    @property
    def num_labels(self) -> int:
        """Number of labels of all codebooks of the targets."""
        targets = self.targets
        return targets.num_labels if isinstance(targets, ResidualLayerTargets) else targets.num_clusters

    @property
    def inner_layers(self) -> set[int]:
        """Numbers of the hidden states that the loss reads beside the output."""
        contrast = self.utterance_contrast
        return {*self.supervised_layers, *([contrast.layer] if contrast.weight else [])}


class MaskedPrediction(Objective):
    """Cross-entropy of the target of each masked frame; logits are cosines with an embedding of each cluster.

    Where targets have several codebooks, each has embeddings of its own, and the loss is the mean over codebooks.

    Source: HuBERT (arXiv 2106.07447, section II); fairseq `models/hubert`, `criterions/hubert_criterion.py`. The same
    loss at inner layers: ILS-SSL (arXiv 2112.08778).
    """

    def __init__(self, backbone: MaskableBackbone, config: MaskedPredictionConfig) -> None:
        super().__init__()
        self.backbone, self.config = backbone, config
        num_labels, width = config.num_labels, config.projection_dim
        self.projection = nn.Linear(backbone.dim, width)
        # fairseq draws them from [0, 1), all close together, which slows a short run down.
        self.label_embeddings = nn.Parameter(torch.randn(num_labels, width))
        self.inner_heads = nn.ModuleDict(
            {
                str(layer): ClusterHead(backbone.dim, num_labels, projection_dim=width, temperature=config.temperature)
                for layer in config.supervised_layers
            }
        )
        contrast = config.utterance_contrast
        self.utterance_contrast = UtteranceContrast(backbone.dim, contrast) if contrast.weight else None

    def forward(self, batch: SpeechBatch) -> Loss:
        """Return the loss, summed over masked frames, or over all frames if `unmasked_weight` is above 0."""
        if batch.targets is None:
            raise ConfigurationError("Masked prediction needs the targets of every frame, and the batch has none.")
        config = self.config
        encoding = self.backbone.encode_masked(
            batch.speech,
            batch.mask,
            layers=[*config.inner_layers, "last"],
            extractor_gradient=config.extractor_gradient,
        )
        penalty = encoding.features.values.float().square().mean()
        encoded, output = encoding.encoded, encoding.encoded.last
        assert output is not None
        total, metrics = self._score(output, batch.targets, batch.masked, "masked")
        unmasked_weight = config.unmasked_weight
        if unmasked_weight > 0 or config.score_unmasked:
            with torch.set_grad_enabled(unmasked_weight > 0 and torch.is_grad_enabled()):
                seen_loss, seen_metrics = self._score(output, batch.targets, batch.unmasked, "unmasked")
            total, metrics = total + unmasked_weight * seen_loss, metrics | seen_metrics
        for layer, head in self.inner_heads.items():
            logits = head(encoded.hidden_states[int(layer)].index_select(0, batch.masked))
            loss, more = score(logits, batch.targets.index_select(0, batch.masked), f"layer{layer}_masked")
            total, metrics = total + config.supervision_weight * loss, metrics | more
        if self.utterance_contrast is not None:
            contrast = config.utterance_contrast
            frames = encoded.hidden_states[contrast.layer].index_select(0, batch.masked)
            clips = encoding.features.clip_of_step.index_select(0, batch.masked)
            loss, more = self.utterance_contrast(frames, clips)
            total, metrics = total + contrast.weight * loss, metrics | more
        count = len(batch.mask) if unmasked_weight > 0 else len(batch.masked)  # frames whose loss counts
        total = total + config.feature_penalty * count * penalty
        in_use = count_labels(batch.targets.index_select(0, batch.masked), config.num_labels)
        return Loss(total, count, {**metrics, "target_clusters_in_use": in_use, "feature_penalty": (penalty, 1)})

    def head_tensors(self) -> dict[str, Tensor]:
        """Return the tensors of projection and embeddings; the heads of inner layers serve training alone."""
        return {
            name: tensor
            for name, tensor in self.state_dict().items()
            if name.startswith("projection.") or name == "label_embeddings"
        }

    def load_head(self, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
        """Load the projection and the embedding of each label, if `label_head` says so."""
        if self.config.label_head == "fresh":
            return
        rows = _rows_of_labels(tensors, notes, len(self.label_embeddings))
        given = {**tensors, "label_embeddings": tensors["label_embeddings"][rows]} if rows else tensors
        load_tensors(
            self.head_tensors(),
            given,
            what="The head of the objective",
            cure="label_head=file takes the head of the file that the first stage starts from: set projection_dim and "
            "the number of labels to those that it was trained with, or label_head=fresh.",
        )

    def logits(self, frames: Tensor) -> Tensor:
        """Output of the backbone (rows, dim) to float32 (rows, clusters)."""
        return cosine_logits(self.projection(frames), self.label_embeddings, self.config.temperature)

    def _score(self, output: Tensor, labels: Tensor, frames: Tensor, name: str) -> Scored:
        """Return the loss of the frames with these indices, and its metrics."""
        return score(self.logits(output.index_select(0, frames)), labels.index_select(0, frames), name)


def _rows_of_labels(tensors: Mapping[str, Tensor], notes: Mapping[str, Any], num_labels: int) -> list[int]:
    """Return the row of each label in the embeddings of a file; none if they are of other labels.

    fairseq puts four symbols before the labels, whose order its dictionary says.
    """
    rows = len(tensors.get("label_embeddings", ()))
    for symbols in notes.get("dictionaries") or []:
        places = {str(symbol): place for place, symbol in enumerate(symbols)}
        named = [places.get(str(label), rows) for label in range(num_labels)]
        return named if max(named) < rows else []
    return list(range(rows - num_labels, rows)) if rows in (num_labels, num_labels + 4) else []
