"""Objective of w2v-BERT: masked contrast at an inner layer, and prediction of codes and labels at the last."""

from dataclasses import dataclass

from torch import Tensor, nn

from sonant.errors import ConfigurationError
from sonant.layers.gumbel_quantizer import Temperature
from sonant.layers.masking import SpanMasking
from sonant.layers.random_projection import RandomProjectionQuantizer
from sonant.loss import Loss
from sonant.models import W2vBERT2
from sonant.pretraining.batches import SpeechBatch
from sonant.pretraining.cluster_head import score
from sonant.pretraining.quantized_contrast import ContrastObjective, ContrastSettings, QuantizedContrast, scored_frames


@dataclass(frozen=True, kw_only=True)
class W2vBERTObjectiveConfig(ContrastSettings):
    """Settings. The recipe of w2v-BERT 2.0 is not published; defaults without a source are fairseq2's for its encoder.

    Attributes:
        contrast_layer: hidden state of the contrast. 8 of 24 blocks as in w2v-BERT XL; not published for 2.0.
        contrast_weight, code_weight: of the contrast, and of predicting the trained quantizer's codes. Equal as in
            w2v-BERT.
        label_weight: of predicting random-projection labels, added in 2.0. 1 is ours; not published.
        num_label_codebooks, label_codebook_size, label_dim: of the random projection: one codebook of 8192 as in
            BEST-RQ; not published.
        seed: of the random projection.
    """

    masking: SpanMasking = SpanMasking(fraction=0.65)
    contrast_layer: int = 8
    quantized_dim: int = 768
    projection_dim: int = 768
    temperature: Temperature = Temperature(start=2.0, end=0.1, decay=0.999995)
    diversity_weight: float = 0.2
    contrast_weight: float = 1.0
    code_weight: float = 1.0
    label_weight: float = 1.0
    num_label_codebooks: int = 1
    label_codebook_size: int = 8192
    label_dim: int = 16
    seed: int = 0


class W2vBERTObjective(ContrastObjective):
    """Contrast against quantized features, and masked prediction of their codes and of random-projection labels.

    Both quantizers take the clean features of masked frames: the trained one after the projection's norm, as in
    wav2vec 2.0, the random one before it. Predicted codes are those of largest probability, without Gumbel noise, and
    pass no gradient; losses are averaged over codebooks. How 2.0 combines the predictions, their weights, and the
    features of the labels are not published; these are our choices. A weight of 0 leaves a part out: `label_weight=0`
    is w2v-BERT, `code_weight=0` predicts labels alone.

    Source: w2v-BERT (arXiv 2108.06209); w2v-BERT 2.0 (arXiv 2312.05187).
    """

    def __init__(self, backbone: W2vBERT2, config: W2vBERTObjectiveConfig) -> None:
        super().__init__()
        if not 0 < config.contrast_layer <= backbone.num_layers:
            raise ConfigurationError(
                f"contrast_layer={config.contrast_layer} is not a block of this model; it has {backbone.num_layers}."
            )
        self.backbone, self.config = backbone, config
        width = backbone.config.num_bins * backbone.config.stack
        self.contrast = QuantizedContrast(width, backbone.dim, config)
        self.code_head = (
            nn.Linear(backbone.dim, config.num_codebooks * config.codebook_size) if config.code_weight else None
        )
        self.label_head = self.label_quantizer = None
        if config.label_weight:
            self.label_head = nn.Linear(backbone.dim, config.num_label_codebooks * config.label_codebook_size)
            self.label_quantizer = RandomProjectionQuantizer(
                width,
                codebook_size=config.label_codebook_size,
                code_dim=config.label_dim,
                num_codebooks=config.num_label_codebooks,
                seed=config.seed,
            )

    def forward(self, batch: SpeechBatch, *, noise: Tensor | None = None, negatives: Tensor | None = None) -> Loss:
        """Return the loss, summed over masked frames; `noise` and `negatives` as for `QuantizedContrast`."""
        config = self.config
        encoding = self.backbone.encode_masked(batch.speech, batch.mask, layers=[config.contrast_layer, "last"])
        encoded = encoding.encoded
        assert encoded.last is not None
        scored, lengths = scored_frames(batch, encoding.features)
        count = len(scored)
        inner, last, features, normed = (
            frames.index_select(0, scored)
            for frames in (
                encoded.hidden_states[config.contrast_layer],
                encoded.last,
                encoding.features.values,
                encoding.normed.values,
            )
        )
        contrasted = self.contrast(inner, normed, lengths, noise=noise, negatives=negatives)
        total = config.contrast_weight * contrasted.loss + config.diversity_weight * count * contrasted.diversity
        metrics = contrasted.metrics
        if self.code_head is not None:
            loss, more = score(self.code_head(last), contrasted.likeliest, "code")
            total, metrics = total + config.code_weight * loss, metrics | more
        if self.label_head is not None and self.label_quantizer is not None:
            loss, more = score(self.label_head(last), self.label_quantizer(features), "label")
            total, metrics = total + config.label_weight * loss, metrics | more
        return Loss(total, count, metrics)

    def head_tensors(self) -> dict[str, Tensor]:
        """Return the tensors of quantizers, projections and heads."""
        others = {name: tensor for name, tensor in self.state_dict().items() if name.startswith(("code_", "label_"))}
        return super().head_tensors() | others
