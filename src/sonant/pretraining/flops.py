"""Floating-point operations that an objective adds to the forward pass of its model, counted from the settings."""

from sonant.errors import ConfigurationError
from sonant.layers.masking import SpanMasking
from sonant.models import BackboneConfig, DiscreteBERTConfig, W2vBERT2Config, WaveformTransformerConfig
from sonant.models.flops import linear_flops
from sonant.pretraining.cpc import CPCConfig
from sonant.pretraining.masked_contrast import MaskedContrastConfig
from sonant.pretraining.masked_prediction import MaskedPredictionConfig
from sonant.pretraining.masked_tokens import MaskedTokensConfig
from sonant.pretraining.w2v_bert import W2vBERTObjectiveConfig

Objective = MaskedPredictionConfig | MaskedContrastConfig | CPCConfig | MaskedTokensConfig | W2vBERTObjectiveConfig


def objective_flops(objective: Objective, model: BackboneConfig, frames: int, masked: int) -> int:
    """Operations on one batch, forward.

    Args:
        objective: its settings.
        model: the configuration of what it trains.
        frames: of the batch.
        masked: number of frames hidden from the model.
    """
    match objective, model:
        case MaskedPredictionConfig() as o, _:
            return linear_flops(frames, model.dim, o.projection_dim) + linear_flops(
                frames, o.projection_dim, o.targets.num_clusters
            )
        case MaskedContrastConfig() as o, WaveformTransformerConfig():
            return _contrast(o, masked, model.conv_channels[-1], model.dim)
        case CPCConfig() as o, _:
            maps = linear_flops(frames, model.dim, o.steps * model.dim)
            return maps + linear_flops(frames * o.steps, model.dim, 1 + o.num_negatives)
        case MaskedTokensConfig(), DiscreteBERTConfig():
            return linear_flops(masked, model.dim, model.dim) + linear_flops(masked, model.dim, model.vocabulary_size)
        case W2vBERTObjectiveConfig() as o, W2vBERT2Config():
            width = model.num_bins * model.stack
            flops = _contrast(o, masked, width, model.dim)
            if o.code_weight:
                flops += linear_flops(masked, model.dim, o.num_codebooks * o.codebook_size)
            if o.label_weight:
                flops += linear_flops(masked, model.dim, o.num_label_codebooks * o.label_codebook_size)
                flops += linear_flops(masked, width, o.num_label_codebooks * o.label_dim)
                flops += linear_flops(masked * o.num_label_codebooks, o.label_dim, o.label_codebook_size)
            return flops
    raise ConfigurationError(f"{type(objective).__name__} is no objective for a model of {type(model).__name__}.")


def masked_share(masking: SpanMasking | None) -> float:
    """The share of frames under spans that may overlap, as many as the frames allow."""
    return 0.0 if masking is None else 1 - (1 - masking.fraction / masking.length) ** masking.length


def _contrast(objective: MaskedContrastConfig | W2vBERTObjectiveConfig, masked: int, width: int, dim: int) -> int:
    """Quantize masked frames of that width, project both sides, and compare every two of the batch."""
    o = objective
    quantizer = linear_flops(masked, width, o.num_codebooks * o.codebook_size) + linear_flops(
        masked, o.codebook_size, o.quantized_dim
    )
    sides = linear_flops(masked, o.quantized_dim, o.projection_dim) + linear_flops(masked, dim, o.projection_dim)
    return quantizer + sides + linear_flops(masked, o.projection_dim, masked)
