"""Conversion of each family's settings in config.json and preprocessor_config.json of transformers."""

from collections.abc import Mapping
from math import gcd
from typing import Any

from torch import Tensor

from sonant.errors import CorruptedCheckpoint, UnsupportedCheckpoint
from sonant.layers.relative_attention import rotary_frequencies
from sonant.models import HuBERTConfig, SEWConfig, Wav2Vec2ConformerConfig, WaveformTransformerConfig
from sonant.models.normalization import TRANSFORMERS_EPSILON
from sonant.models.w2v_bert2 import W2vBERT2Config

# In the preprocessor, if the constant added to a waveform's variance is not transformers' fixed one.
NORMALIZE_EPSILON = "sonant_normalize_epsilon"

Settings = tuple[tuple[str, str, Any], ...]  # sonant's name, transformers' name, transformers' default

WAVEFORM_SETTINGS: Settings = (
    ("conv_channels", "conv_dim", (512,) * 7),
    ("conv_kernels", "conv_kernel", (10, 3, 3, 3, 3, 2, 2)),
    ("conv_strides", "conv_stride", (5, 2, 2, 2, 2, 2, 2)),
    ("extractor_norm", "feat_extract_norm", "group"),
    ("dim", "hidden_size", 768),
    ("num_layers", "num_hidden_layers", 12),
    ("num_heads", "num_attention_heads", 12),
    ("feed_forward_dim", "intermediate_size", 3072),
    ("pre_norm", "do_stable_layer_norm", False),
    ("position_kernel", "num_conv_pos_embeddings", 128),
    ("position_groups", "num_conv_pos_embedding_groups", 16),
    ("layer_norm_eps", "layer_norm_eps", 1e-5),
    ("dropout", "hidden_dropout", 0.1),
    ("attention_dropout", "attention_dropout", 0.1),
    ("activation_dropout", "activation_dropout", 0.1),
    ("input_dropout", "feat_proj_dropout", 0.0),
    ("layerdrop", "layerdrop", 0.1),
)
DATA2VEC_SETTINGS: Settings = (
    *(row for row in WAVEFORM_SETTINGS if row[0] not in ("extractor_norm", "pre_norm", "position_kernel")),
    ("position_kernel", "conv_pos_kernel_size", 19),
    ("position_depth", "num_conv_pos_embeddings", 5),
)
HUBERT_SETTINGS: Settings = (*WAVEFORM_SETTINGS, ("projection_norm", "feat_proj_layer_norm", True))
WAVLM_SETTINGS: Settings = (
    *WAVEFORM_SETTINGS,
    ("num_buckets", "num_buckets", 320),
    ("max_distance", "max_bucket_distance", 800),
)
W2V_BERT2_SETTINGS: Settings = (
    ("dim", "hidden_size", 1024),
    ("num_layers", "num_hidden_layers", 24),
    ("num_heads", "num_attention_heads", 16),
    ("feed_forward_dim", "intermediate_size", 4096),
    ("conv_kernel", "conv_depthwise_kernel_size", 31),
    ("left_reach", "left_max_position_embeddings", 64),
    ("right_reach", "right_max_position_embeddings", 8),
    ("layer_norm_eps", "layer_norm_eps", 1e-5),
    ("dropout", "hidden_dropout", 0.0),
    ("attention_dropout", "attention_dropout", 0.0),
    ("activation_dropout", "activation_dropout", 0.0),
    ("input_dropout", "feat_proj_dropout", 0.0),
    ("conv_dropout", "conformer_conv_dropout", 0.1),
    ("layerdrop", "layerdrop", 0.1),
    ("adapter_feed_forward", "use_intermediate_ffn_before_adapter", False),
)

SEW_SETTINGS: Settings = (
    *(row for row in WAVEFORM_SETTINGS if row[0] not in ("pre_norm", "conv_channels", "conv_kernels", "conv_strides")),
    ("conv_channels", "conv_dim", SEWConfig.conv_channels),
    ("conv_kernels", "conv_kernel", SEWConfig.conv_kernels),
    ("conv_strides", "conv_stride", SEWConfig.conv_strides),
    ("squeeze_factor", "squeeze_factor", 2),
)
CONFORMER_SETTINGS: Settings = (
    *(row for row in WAVEFORM_SETTINGS if row[0] not in ("pre_norm", "position_kernel", "position_groups")),
    ("conv_kernel", "conv_depthwise_kernel_size", 31),
    ("rotary_base", "rotary_embedding_base", 10_000),
    ("conv_dropout", "conformer_conv_dropout", 0.1),
)

# A setting, its only supported value, and the meaning of others.
Required = tuple[tuple[str, Any, str], ...]
WAVEFORM_REQUIRED: Required = (
    ("hidden_act", "gelu", "another activation"),
    ("feat_extract_activation", "gelu", "another activation in the extractor"),
)
# Parts of HuBERT alone.
NO_PARTS_OF_HUBERT: Required = (
    ("conv_pos_batch_norm", False, "a batch norm in the positional convolution"),
    ("feat_proj_layer_norm", True, "no layer norm before the projection of the features"),
)
# Adapters, in families whose classes do not have them.
NO_CONV_ADAPTER: Required = (("add_adapter", False, "a convolutional adapter behind the encoder"),)
NO_ATTENTION_ADAPTERS: Required = (("adapter_attn_dim", None, "adapters in the attention layers, as in MMS"),)
SEW_REQUIRED: Required = (
    ("hidden_act", "gelu", "another activation"),
    ("feat_extract_activation", "gelu", "another activation in the extractor"),
)
CONFORMER_REQUIRED: Required = (("feat_extract_activation", "gelu", "another activation in the extractor"),)
W2V_BERT2_REQUIRED: Required = (
    ("hidden_act", "swish", "another activation"),
    ("adapter_act", "relu", "another activation in the adapter"),
    ("position_embeddings_type", "relative_key", "another kind of positions"),
)


def read_waveform(theirs: Mapping[str, Any], preprocessor: Mapping[str, Any], source: object) -> dict[str, Any]:
    norm = theirs.get("feat_extract_norm", "group")
    if norm not in ("group", "layer"):
        raise UnsupportedCheckpoint(
            f"{source}: config.json says feat_extract_norm={norm!r}; known are 'group' and 'layer'."
        )
    return {
        "normalize": preprocessor.get("do_normalize", True) if preprocessor else norm == "layer",
        "normalize_epsilon": preprocessor.get(NORMALIZE_EPSILON, TRANSFORMERS_EPSILON),
        # transformers' post-norm layers ignore adapter settings.
        "attention_adapter_dim": theirs.get("adapter_attn_dim") if theirs.get("do_stable_layer_norm") else None,
        **(read_adapter(theirs, num_layers=3, dim=768) if theirs.get("add_adapter") else {}),
    }


def read_adapter(theirs: Mapping[str, Any], *, num_layers: int, dim: int) -> dict[str, Any]:
    """Return the sizes of a convolutional adapter; the arguments are transformers' defaults."""
    width = theirs.get("output_hidden_size")
    return {
        "adapter_layers": theirs.get("num_adapter_layers", num_layers),
        "adapter_kernel": theirs.get("adapter_kernel_size", 3),
        "adapter_stride": theirs.get("adapter_stride", 2),
        "adapter_dim": None if width == theirs.get("hidden_size", dim) else width,
    }


def write_adapter(config: WaveformTransformerConfig | Wav2Vec2ConformerConfig | W2vBERT2Config) -> dict[str, Any]:
    return {
        "add_adapter": config.adapter_layers > 0,
        "num_adapter_layers": max(1, config.adapter_layers),
        "adapter_kernel_size": config.adapter_kernel,
        "adapter_stride": config.adapter_stride,
        "output_hidden_size": config.adapter_dim or config.dim,
    }


def write_waveform(config: WaveformTransformerConfig) -> dict[str, Any]:
    adapted = config.attention_adapter_dim
    return {
        "conv_bias": config.conv_bias,
        "num_feat_extract_layers": len(config.conv_channels),
        **({} if adapted is None else {"adapter_attn_dim": adapted}),
        **(write_adapter(config) if config.adapter_layers else {}),
    }


def read_data2vec(theirs: Mapping[str, Any], preprocessor: Mapping[str, Any], source: object) -> dict[str, Any]:
    """Read settings as data2vec's classes do: always with a norm after each convolution and sublayer."""
    norms = {"feat_extract_norm": "layer", "do_stable_layer_norm": False}
    return read_waveform({**theirs, **norms}, preprocessor, source)


def read_hubert(theirs: Mapping[str, Any], preprocessor: Mapping[str, Any], source: object) -> dict[str, Any]:
    norm = "batch" if theirs.get("conv_pos_batch_norm") else "weight"
    return {**read_waveform(theirs, preprocessor, source), "position_norm": norm}


def write_hubert(config: HuBERTConfig) -> dict[str, Any]:
    return {**write_waveform(config), "conv_pos_batch_norm": config.position_norm == "batch"}


def waveform_preprocessor(config: WaveformTransformerConfig | Wav2Vec2ConformerConfig | SEWConfig) -> dict[str, Any]:
    epsilon = config.normalize_epsilon
    return {
        "do_normalize": config.normalize,
        **({} if epsilon == TRANSFORMERS_EPSILON else {NORMALIZE_EPSILON: epsilon}),
        "feature_size": 1,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": config.extractor_norm == "layer",
        "sampling_rate": config.sampling_rate,
    }


def write_sew(config: SEWConfig) -> dict[str, Any]:
    return {"conv_bias": config.conv_bias, "num_feat_extract_layers": len(config.conv_channels)}


def read_conformer(theirs: Mapping[str, Any], preprocessor: Mapping[str, Any], source: object) -> dict[str, Any]:
    known = {"swish": "swish", "silu": "swish", "gelu": "gelu", "relu": "relu"}
    activation, positions = theirs.get("hidden_act", "gelu"), theirs.get("position_embeddings_type", "relative")
    if not isinstance(activation, str) or activation not in known:
        raise UnsupportedCheckpoint(
            f"{source}: config.json says hidden_act={activation!r}, which sonant's Conformers do not have. "
            f"Known are {', '.join(known)}."
        )
    if positions not in ("relative", "rotary", None):
        raise UnsupportedCheckpoint(
            f"{source}: config.json says position_embeddings_type={positions!r}; known are 'relative', 'rotary' and "
            "null. A model of type 'wav2vec2-bert' has other positions, and another model_type."
        )
    others = {"activation": known[activation], "positions": positions}
    return read_waveform(theirs, preprocessor, source) | others


def write_conformer(config: Wav2Vec2ConformerConfig) -> dict[str, Any]:
    return {
        "conv_bias": config.conv_bias,
        "num_feat_extract_layers": len(config.conv_channels),
        "hidden_act": config.activation,
        "position_embeddings_type": config.positions,
        "num_conv_pos_embeddings": 128,  # of the class's unused convolution; must be valid
        "num_conv_pos_embedding_groups": gcd(16, config.dim),
        **(write_adapter(config) if config.adapter_layers else {}),
    }


def derived_of_conformer(config: Wav2Vec2ConformerConfig) -> dict[str, Tensor]:
    if config.positions != "rotary":
        return {}
    return {"encoder.embed_positions.inv_freq": rotary_frequencies(config.dim // config.num_heads, config.rotary_base)}


def read_w2v_bert2(theirs: Mapping[str, Any], preprocessor: Mapping[str, Any], source: object) -> dict[str, Any]:
    """Read mel bins and frames per step; without a preprocessor two frames, as published."""
    width, stack = theirs.get("feature_projection_input_dim", 160), preprocessor.get("stride", 2)
    if type(width) is not int or type(stack) is not int or stack < 1 or width % stack:
        raise CorruptedCheckpoint(
            f"{source}: the model takes feature_projection_input_dim={width!r} numbers a step, which are not "
            f"stride={stack!r} frames of the preprocessor. The two files do not belong together."
        )
    bins = preprocessor.get("num_mel_bins", width // stack)
    if bins != width // stack:
        raise UnsupportedCheckpoint(
            f"{source}: the preprocessor makes num_mel_bins={bins!r} and puts {stack} frames together; the model "
            f"takes {width} numbers a step. Check that both files come from the same download."
        )
    adapter = read_adapter(theirs, num_layers=1, dim=1024) if theirs.get("add_adapter") else {}
    return {"num_bins": bins, "stack": stack, **adapter}


def write_w2v_bert2(config: W2vBERT2Config) -> dict[str, Any]:
    return {"feature_projection_input_dim": config.num_bins * config.stack, **write_adapter(config)}


def w2v_bert2_preprocessor(config: W2vBERT2Config) -> dict[str, Any]:
    return {
        "feature_size": config.num_bins,
        "num_mel_bins": config.num_bins,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": True,
        "sampling_rate": config.sampling_rate,
        "stride": config.stack,
    }
