"""Floating-point operations that objectives add to a model's forward pass on one batch.

Arguments: settings of the objective, configuration of the model, number of frames, number of masked frames.
"""

from sonant.layers.masking import SpanMasking
from sonant.models import BackboneConfig, DiscreteBERTConfig, W2vBERT2Config, WaveformTransformerConfig
from sonant.models.flops import linear_flops
from sonant.pretraining.cpc import CPCConfig
from sonant.pretraining.masked_contrast import MaskedContrastConfig
from sonant.pretraining.masked_prediction import MaskedPredictionConfig
from sonant.pretraining.masked_tokens import MaskedTokensConfig
from sonant.pretraining.self_distillation import SelfDistillationConfig
from sonant.pretraining.w2v_bert import W2vBERTObjectiveConfig


def masked_prediction(o: MaskedPredictionConfig, model: BackboneConfig, frames: int, masked: int) -> int:
    """Projection and logits of scored frames, at the output and supervised layers, and products of contrasted pairs."""
    scored = frames if o.score_unmasked or o.unmasked_weight else masked
    rows = scored + masked * len(o.supervised_layers)
    flops = linear_flops(rows, model.dim, o.projection_dim)
    flops += linear_flops(rows, o.projection_dim, o.num_labels)
    contrast = o.utterance_contrast
    if contrast.weight:
        flops += linear_flops(masked, model.dim, contrast.projection_dim)
        flops += linear_flops(masked, contrast.projection_dim, masked)
    return flops


def self_distillation(o: SelfDistillationConfig, model: BackboneConfig, frames: int, masked: int) -> int:  # noqa: ARG001
    """Logits of the codes of masked frames, and distances to the codes; the teacher is counted beside the model."""
    return 2 * linear_flops(masked, model.dim, o.top_layers * o.codebook_size)


def masked_contrast(o: MaskedContrastConfig, model: WaveformTransformerConfig, frames: int, masked: int) -> int:  # noqa: ARG001
    """Contrast of masked frames."""
    return _contrast(o, masked, model.conv_channels[-1], model.dim)


def cpc(o: CPCConfig, model: BackboneConfig, frames: int, masked: int) -> int:  # noqa: ARG001
    """Projection of all frames for each step, and logits of the true frame and its negatives."""
    maps = linear_flops(frames, model.dim, o.steps * model.dim)
    return maps + linear_flops(frames * o.steps, model.dim, 1 + o.num_negatives)


def masked_tokens(o: MaskedTokensConfig, model: DiscreteBERTConfig, frames: int, masked: int) -> int:  # noqa: ARG001
    """Projection of masked tokens, and logits of the vocabulary."""
    return linear_flops(masked, model.dim, model.dim) + linear_flops(masked, model.dim, model.vocabulary_size)


def w2v_bert(o: W2vBERTObjectiveConfig, model: W2vBERT2Config, frames: int, masked: int) -> int:  # noqa: ARG001
    """Contrast of masked frames, logits of codes and labels, and the random projection of labels."""
    width = model.num_bins * model.stack
    flops = _contrast(o, masked, width, model.dim)
    if o.code_weight:
        flops += linear_flops(masked, model.dim, o.num_codebooks * o.codebook_size)
    if o.label_weight:
        flops += linear_flops(masked, model.dim, o.num_label_codebooks * o.label_codebook_size)
        flops += linear_flops(masked, width, o.num_label_codebooks * o.label_dim)
        flops += linear_flops(masked * o.num_label_codebooks, o.label_dim, o.label_codebook_size)
    return flops


def masked_share(masking: SpanMasking | None) -> float:
    """Expected share of masked frames, with overlapping spans."""
    return 0.0 if masking is None else 1 - (1 - masking.fraction / masking.length) ** masking.length


def _contrast(o: MaskedContrastConfig | W2vBERTObjectiveConfig, masked: int, width: int, dim: int) -> int:
    """Quantization of masked frames (masked, width), projection of both sides, and all their products."""
    quantizer = linear_flops(masked, width, o.num_codebooks * o.codebook_size)
    quantizer += linear_flops(masked, o.codebook_size, o.quantized_dim)
    sides = linear_flops(masked, o.quantized_dim, o.projection_dim) + linear_flops(masked, dim, o.projection_dim)
    return quantizer + sides + linear_flops(masked, o.projection_dim, masked)
