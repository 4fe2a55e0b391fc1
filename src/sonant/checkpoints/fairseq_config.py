"""Conversion between settings of fairseq and unilm and sonant's configurations."""

import ast
from collections.abc import Iterable, Mapping
from itertools import groupby
from math import isfinite
from typing import Any

from sonant.checkpoints.checkpoint import Checkpoint
from sonant.errors import ConfigurationError, CorruptedCheckpoint, UnsupportedCheckpoint
from sonant.models import BackboneConfig, HuBERTConfig, WaveformTransformerConfig

# sonant's name, the toolkit's name, the toolkit's default.
SETTINGS: tuple[tuple[str, str, Any], ...] = (
    ("dim", "encoder_embed_dim", 768),
    ("num_layers", "encoder_layers", 12),
    ("num_heads", "encoder_attention_heads", 12),
    ("feed_forward_dim", "encoder_ffn_embed_dim", 3072),
    ("pre_norm", "layer_norm_first", False),
    ("position_kernel", "conv_pos", 128),
    ("position_groups", "conv_pos_groups", 16),
    ("dropout", "dropout", 0.1),
    ("attention_dropout", "attention_dropout", 0.1),
    ("activation_dropout", "activation_dropout", 0.0),
    ("input_dropout", "dropout_input", 0.0),
    ("layerdrop", "encoder_layerdrop", 0.0),
)
WAVLM_SETTINGS: tuple[tuple[str, str, Any], ...] = (
    ("num_buckets", "num_buckets", 320),
    ("max_distance", "max_distance", 1280),
)
EXTRACTOR_NORMS = {"default": "group", "layer_norm": "layer"}
MASKED = "group_norm_masked"  # ContentVec's group norm that ignores padding, as sonant's always does
DEFAULT_CONVS = "[(512,10,5)] + [(512,3,2)] * 4 + [(512,2,2)] * 2"
MOST_CONVS = 64

# A setting, its supported values, and the meaning of others.
Required = tuple[tuple[str, tuple[Any, ...], str], ...]
REQUIRED: Required = (
    ("activation_fn", ("gelu",), "another activation"),
    ("layer_type", ("transformer", None), "another kind of layer"),
    ("quantize_input", (False, None), "quantized inputs"),
    ("target_glu", (False, None), "a gated projection of the targets"),
    ("expand_attention_head_size", (-1, 0, None), "widened attention heads"),
)
STACK = ("pos_conv_depth", (1, None), "a stack of positional convolutions")
BATCH_NORM = ("conv_pos_batch_norm", (False, None), "a batch norm in the positional convolution")


def backbone_settings(model: Mapping[str, Any], source: object, *, family: str) -> dict[str, Any]:
    """Return values of sonant's configuration, without the bias of convolutions, which the tensors determine."""
    wavlm, hubert, data2vec = family == "wavlm", family == "hubert", family == "data2vec"
    require(model, (*REQUIRED, *(() if hubert else (BATCH_NORM,)), *(() if data2vec else (STACK,))), source)
    if wavlm and not (model.get("relative_position_embedding") and model.get("gru_rel_pos")):
        raise UnsupportedCheckpoint(
            f"{source}: relative_position_embedding={model.get('relative_position_embedding')!r}, "
            f"gru_rel_pos={model.get('gru_rel_pos')!r}; a WavLM has both."
        )
    mode = model.get("extractor_mode", "default")
    mode = "default" if mode == MASKED else mode
    if not isinstance(mode, str) or mode not in EXTRACTOR_NORMS:
        raise UnsupportedCheckpoint(
            f"{source}: extractor_mode={mode!r}; known are {', '.join(map(repr, EXTRACTOR_NORMS))}."
        )
    settings: dict[str, Any] = {"extractor_norm": EXTRACTOR_NORMS[mode]}
    if hubert:
        settings["position_norm"] = "batch" if model.get("conv_pos_batch_norm") else "weight"
    for ours, theirs, default in (*SETTINGS, *(WAVLM_SETTINGS if wavlm else ())):
        settings[ours] = number(model, theirs, default, source)
    if data2vec:
        settings |= _stack(model, source)
    convs = parse_convs(model.get("conv_feature_layers", DEFAULT_CONVS), source)
    settings |= dict(zip(("conv_channels", "conv_kernels", "conv_strides"), zip(*convs, strict=True), strict=True))
    return settings


def _stack(model: Mapping[str, Any], source: object) -> dict[str, int]:
    """Return depth and kernel of the positional convolutions; fairseq's width is that of all of them together."""
    depth, width = number(model, "pos_conv_depth", 1, source), number(model, "conv_pos", 128, source)
    if depth < 2:
        raise UnsupportedCheckpoint(
            f"{source}: its configuration says pos_conv_depth={depth}, that is one positional convolution under weight "
            "norm; a data2vec has several."
        )
    return {"position_depth": depth, "position_kernel": max(3, width // depth)}


def number(model: Mapping[str, Any], name: str, default: Any, source: object) -> Any:
    """Return a setting, converted to the type of its default (a number or flag)."""
    value = model.get(name, default)
    whole = isinstance(default, int)  # flags too: some files have 0 and 1
    if not isinstance(value, int | float) or not isfinite(value) or (whole and value != int(value)):
        raise CorruptedCheckpoint(f"{source}: its configuration says {name}={value!r}; expected e.g. {default!r}.")
    return type(default)(value)


def require(model: Mapping[str, Any], required: Required, source: object) -> None:
    """Raise UnsupportedCheckpoint if a setting has an unsupported value."""
    for name, values, meaning in required:
        if model.get(name, values[0]) not in values:
            raise UnsupportedCheckpoint(
                f"{source}: its configuration says {name}={model[name]!r}, that is {meaning}, which sonant's models do "
                f"not have; only {values[0]!r} can be loaded."
            )


def parse_convs(text: Any, source: object, *, name: str = "conv_feature_layers") -> list[tuple[int, int, int]]:
    """Parse `"[(512,10,5)] + [(512,3,2)] * 4"` into (channels, kernel, stride) per layer, without evaluating it."""
    try:
        layers = _convs(ast.parse(str(text), mode="eval").body)
        if layers and all(isinstance(layer, tuple) and len(layer) == 3 for layer in layers):
            return layers
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        pass
    raise CorruptedCheckpoint(
        f"{source}: {name}={str(text)!r:.200} is no list of convolutions; expected one like {DEFAULT_CONVS!r}."
    )


def _convs(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=int() as number):
            return number
        case ast.Tuple(elts=items):
            return tuple(_convs(item) for item in items)
        case ast.List(elts=items):
            return [_convs(item) for item in items]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            result = _convs(left) + _convs(right)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            items, times = _convs(left), _convs(right)
            if not isinstance(items, list) or not isinstance(times, int) or len(items) * times > MOST_CONVS:
                raise ValueError
            result = items * times
        case _:
            raise ValueError
    if not isinstance(result, list) or len(result) > MOST_CONVS:
        raise ValueError
    return result


def write_settings(checkpoint: Checkpoint, *, toolkit: str) -> dict[str, Any]:
    """Return the configuration as settings of fairseq or unilm.

    Raises:
        ConfigurationError: a setting that the toolkit cannot express.
    """
    config = waveform_transformer(checkpoint.config)
    refuse_inexpressible(config, toolkit)
    if config.conv_channels[-1] == config.dim:
        raise ConfigurationError(
            f"This model is as wide as its last convolution ({config.dim}). There the code of {toolkit} has no "
            "projection between the two, so its files cannot hold this model's. Save it as hf or torchaudio."
        )
    convs = zip(config.conv_channels, config.conv_kernels, config.conv_strides, strict=True)
    wavlm = checkpoint.family == "wavlm"
    settings: dict[str, Any] = {
        theirs: getattr(config, ours) for ours, theirs, _ in (*SETTINGS, *(WAVLM_SETTINGS if wavlm else ()))
    }
    settings |= {
        "extractor_mode": {ours: theirs for theirs, ours in EXTRACTOR_NORMS.items()}[config.extractor_norm],
        "conv_feature_layers": format_convs(convs),
        "conv_bias": config.conv_bias,
        "activation_fn": "gelu",
    }
    if isinstance(config, HuBERTConfig):
        settings["conv_pos_batch_norm"] = config.position_norm == "batch"
    return settings | ({"relative_position_embedding": True, "gru_rel_pos": True} if wavlm else {})


def format_convs(layers: Iterable[tuple[int, int, int]]) -> str:
    """Format (channels, kernel, stride) of each layer for `parse_convs`."""
    runs = [(layer, len(list(run))) for layer, run in groupby(layers)]
    return " + ".join(f"[{layer}]" + (f" * {times}" if times > 1 else "") for layer, times in runs)


def waveform_transformer(config: BackboneConfig) -> WaveformTransformerConfig:
    """Return the configuration as that of a waveform Transformer; raise ConfigurationError for other families."""
    if isinstance(config, WaveformTransformerConfig):
        return config
    raise ConfigurationError(f"{type(config).__name__} is no wav2vec 2.0, HuBERT or WavLM, which is expected here.")


def refuse_inexpressible(config: BackboneConfig, toolkit: str) -> None:
    """Raise ConfigurationError for settings that only transformers has.

    These are another epsilon than 1e-5, another sampling rate and a projection without a norm; for toolkits other than
    fairseq also the batch norm of the positional convolution.
    """
    fixed: dict[str, Any] = {"layer_norm_eps": 1e-5, "sampling_rate": 16_000, "projection_norm": True}
    if toolkit != "fairseq":
        fixed["position_norm"] = "weight"
    for name, only in fixed.items():
        value = getattr(config, name, only)
        if value != only:
            raise ConfigurationError(
                f"This model has {name}={value!r}, which a file of {toolkit} cannot say ({only!r} is built in). "
                "Save it as hf."
            )
