"""Masked contrast, the objective of wav2vec 2.0: find the quantized frame of a masked one among distractors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from sonant.layers.masking import SpanMasking
from sonant.loss import Loss
from sonant.models import WaveformTransformer
from sonant.pretraining.batches import SpeechBatch
from sonant.pretraining.quantized_contrast import ContrastObjective, ContrastSettings, QuantizedContrast, scored_frames


@dataclass(frozen=True, kw_only=True)
class MaskedContrastConfig(ContrastSettings):
    """Settings; the defaults are those of the published base model. In brackets: fairseq's name.

    Attributes:
        diversity_weight: of the diversity loss.
        feature_penalty: weight of the mean square of the extractor's output.
        extractor_gradient: factor on the gradient that reaches the extractor (feature_grad_mult).
        feature_dropout: before the quantizer (dropout_features).
    """

    masking: SpanMasking = SpanMasking(fraction=0.65)
    diversity_weight: float = 0.1
    feature_penalty: float = 10.0
    extractor_gradient: float = 0.1
    feature_dropout: float = 0.1


class MaskedContrast(ContrastObjective):
    """Choose the quantized frame q of each masked one, with output c, among distractors from its clip's masked frames.

    For projected c and q, the set D of q and its distractors, and logit temperature T, the loss of a masked frame is::

        -log(exp(cos(c, q) / T) / sum over d in D of exp(cos(c, d) / T))

    plus diversity loss and feature penalty, weighted. Clips with a single masked frame have no distractors: no loss.

    Source: wav2vec 2.0 (arXiv 2006.11477, section 3); fairseq `models/wav2vec/wav2vec2.py`,
    `criterions/wav2vec_criterion.py`.
    """

    def __init__(self, backbone: WaveformTransformer, config: MaskedContrastConfig) -> None:
        super().__init__()
        self.backbone, self.config = backbone, config
        self.feature_dropout = nn.Dropout(config.feature_dropout)
        self.contrast = QuantizedContrast(backbone.config.conv_channels[-1], backbone.dim, config)

    def forward(self, batch: SpeechBatch, *, noise: Tensor | None = None, negatives: Tensor | None = None) -> Loss:
        """Return the loss, summed over masked frames; `noise` and `negatives` as for `QuantizedContrast`."""
        config = self.config
        encoding = self.backbone.encode_masked(
            batch.speech, batch.mask, layers=["last"], extractor_gradient=config.extractor_gradient
        )
        output = encoding.encoded.last
        assert output is not None
        scored, lengths = scored_frames(batch, encoding.features)
        count = len(scored)
        frames = self.feature_dropout(encoding.normed.values.index_select(0, scored))
        contrasted = self.contrast(output.index_select(0, scored), frames, lengths, noise=noise, negatives=negatives)
        penalty = encoding.features.values.float().square().mean()
        extra = config.diversity_weight * contrasted.diversity + config.feature_penalty * penalty
        metrics = {**contrasted.metrics, "feature_penalty": (penalty, 1)}
        return Loss(contrasted.loss + count * extra, count, metrics)

    def load_head(self, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Load a trained quantizer and projections, as returned by `head_tensors`."""
        if tensors:
            self.contrast.load_head(tensors)
