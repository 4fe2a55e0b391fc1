"""Checkpoints of wav2vec and vq-wav2vec of fairseq and s3prl.

Sources of options and defaults: fairseq 392fce8a (first wav2vec), 3335de5f (first vq-wav2vec, both argparse) and
3d262bb2 (last version, hydra).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sonant.checkpoints.checkpoint import Checkpoint, own_storage
from sonant.checkpoints.completeness import check, holds
from sonant.checkpoints.configs import make_config
from sonant.checkpoints.extra_data import KEY, describe_extra, extra_settings, pack_extra, unpack_extra
from sonant.checkpoints.fairseq_config import Required, format_convs, number, parse_convs, refuse_inexpressible, require
from sonant.checkpoints.families import head_maps
from sonant.checkpoints.files import write_pickle
from sonant.checkpoints.name_maps.fairseq import FAIRSEQ_KMEANS, FAIRSEQ_STEPS, FAIRSEQ_WAV2VEC, fairseq_gumbel
from sonant.checkpoints.parameter_names import NameMap, make_heads, read, write
from sonant.errors import CheckpointMismatch, ConfigurationError, CorruptedCheckpoint, UnsupportedCheckpoint
from sonant.models import BackboneConfig, VQWav2VecConfig, WaveformConvNetConfig

# Defaults of options: of the command line until 2020, and of the configuration since.
ARGPARSE_DEFAULTS = {
    "conv_feature_layers": "[(512, 10, 5)] + [(512, 8, 4)] + [(512, 4, 2)] * 3",
    "conv_aggregator_layers": "[(512, 3, 1)] * 9",
    "log_compression": False,
    "skip_connections_agg": False,
}
HYDRA_DEFAULTS = {
    "conv_feature_layers": "[(512, 10, 5)] + [(512, 8, 4)] + [(512, 4, 2)] * 3 + [(512, 1, 1)] * 3",
    "conv_aggregator_layers": " + ".join(f"[(512, {kernel}, 1)]" for kernel in range(2, 14)),
    "log_compression": True,
    "skip_connections_agg": True,
}
REQUIRED: Required = (
    ("encoder", ("cnn", None), "another encoder"),
    ("aggregator", ("cnn",), "a recurrent aggregator"),
    ("skip_connections_feat", (False,), "skip connections in the extractor"),
    ("non_affine_group_norm", (False,), "a group norm without weights"),
    ("no_conv_bias", (False,), "an aggregator without biases"),
    ("project_features", ("none", None), "targets that pass through an aggregator"),
)
QUANTIZERS = {"vector_quantizer.vars": "gumbel", "vector_quantizer.embedding": "kmeans"}
RESIDUAL_SCALE = 0.5


def is_wav2vec(tensors: Mapping[str, Tensor]) -> bool:
    """Return whether tensors have the names of a wav2vec or vq-wav2vec."""
    return any(name.startswith("feature_aggregator.") for name in tensors)


def read_wav2vec(
    state: Mapping[Any, Any],
    tensors: Mapping[str, Tensor],
    model: Mapping[str, Any],
    task: Mapping[str, Any],
    source: object,
    *,
    container: str,
    overrides: Mapping[str, Any] | None,
) -> Checkpoint:
    """Return a checkpoint from a file's tensors and settings; `container`: "args", "cfg" or "model_cfg" (s3prl)."""
    model = (ARGPARSE_DEFAULTS if container == "args" else HYDRA_DEFAULTS) | dict(model)
    settings = _settings(model, source)
    quantizer = _quantizer(model, tensors, settings["conv_channels"][-1], source)
    family = "vq_wav2vec" if quantizer else "wav2vec"
    normalize = task.get("normalize", model.get("normalize"))
    settings |= quantizer | {"normalize": bool(normalize)} | extra_settings(state.get(KEY))
    config = make_config(family, settings, overrides, source=source)
    rows = rows_for(config)
    translated = read(tensors, rows, {"pretraining": FAIRSEQ_STEPS})
    known = {"pretraining": _head_metadata(model, source), **unpack_extra(state.get(KEY), translated)}
    check(translated, config, source=source, rows=rows, heads=head_maps(family))
    metadata = {
        "fairseq": {"model": dict(model), "task": dict(task), "tuned": {}},
        "normalize_from": "the published models, which take waveforms as they are" if normalize is None else container,
        "config_from": container,
    }
    made_by = "s3prl" if container == "model_cfg" else "fairseq"
    return Checkpoint(config, translated.backbone, make_heads(translated, known), made_by, metadata)


def _settings(model: Mapping[str, Any], source: object) -> dict[str, Any]:
    require(model, REQUIRED, source)
    activation = model.get("activation", "relu")
    if activation not in ("relu", "gelu"):
        raise UnsupportedCheckpoint(f"{source}: activation={activation!r}; known are 'relu' and 'gelu'.")
    skips = number(model, "skip_connections_agg", False, source)
    scale = number(model, "residual_scale", RESIDUAL_SCALE, source)
    if skips and scale != RESIDUAL_SCALE:
        raise UnsupportedCheckpoint(
            f"{source}: residual_scale={scale!r}; the skip connections of sonant's models have {RESIDUAL_SCALE}."
        )
    convs = parse_convs(model["conv_feature_layers"], source)
    context = parse_convs(model["conv_aggregator_layers"], source, name="conv_aggregator_layers")
    width = convs[-1][0]
    if any((channels, stride) != (width, 1) for channels, _, stride in context):
        raise UnsupportedCheckpoint(
            f"{source}: conv_aggregator_layers={model['conv_aggregator_layers']!r:.200}; sonant's models have a stride "
            f"of 1 there and the width of the last convolution ({width}) throughout."
        )
    channels, kernels, strides = zip(*convs, strict=True)
    return {
        "conv_channels": channels,
        "conv_kernels": kernels,
        "conv_strides": strides,
        "log_compression": number(model, "log_compression", False, source),
        "context_kernels": tuple(kernel for _, kernel, _ in context),
        "skip_connections": skips,
        "zero_padding": number(model, "agg_zero_pad", False, source),
        "activation": activation,
        "dropout": number(model, "dropout", 0.0, source),
    }


def _quantizer(model: Mapping[str, Any], tensors: Mapping[str, Tensor], width: int, source: object) -> dict[str, Any]:
    """Return the quantizer's settings, empty for wav2vec; raise an error if its kind is not that of the tensors."""
    said = model.get("vq_type") or "none"
    held = next((kind for name, kind in QUANTIZERS.items() if name in tensors), "none")
    if said not in ("none", *QUANTIZERS.values()):
        raise UnsupportedCheckpoint(f"{source}: vq_type={said!r}; known are 'none', 'gumbel' and 'kmeans'.")
    if said != held:
        raise CheckpointMismatch(
            f"{source}: the configuration says vq_type={said!r}, and the tensors are those of {held!r}. The two do not "
            "belong together; check that both come from the same download."
        )
    if held == "none":
        return {}
    if number(model, "vq_dim", 0, source) not in (0, width):
        raise UnsupportedCheckpoint(
            f"{source}: vq_dim={model['vq_dim']!r}; sonant's quantized frames are as wide as the others ({width})."
        )
    sizes = {
        "quantizer": held,
        "num_codebooks": number(model, "vq_groups", 2, source),
        "codebook_size": number(model, "vq_vars", 320, source),
        "shared_codebook": number(model, "combine_groups", False, source),
    }
    depth = number(model, "vq_depth", 1, source)
    if depth > len(tensors):
        raise CheckpointMismatch(f"{source}: vq_depth={depth}, and the file has {len(tensors)} tensors in all.")
    return sizes | ({"projection_depth": depth} if held == "gumbel" else {})


def _head_metadata(model: Mapping[str, Any], source: object) -> dict[str, Any]:
    """Return the offset of the first predicted step, unless it follows from the receptive field."""
    offset = model.get("offset", "auto")
    if offset == "auto":
        return {}
    try:
        return {"offset": int(offset)}
    except (TypeError, ValueError):
        raise CorruptedCheckpoint(f"{source}: offset={offset!r}; expected 'auto' or a number of frames.") from None


def rows_for(config: BackboneConfig) -> NameMap:
    """Return the parameter-name map of a model."""
    match config:
        case VQWav2VecConfig(quantizer="gumbel"):
            return (*FAIRSEQ_WAV2VEC, *fairseq_gumbel(config.projection_depth))
        case VQWav2VecConfig():
            return (*FAIRSEQ_WAV2VEC, *FAIRSEQ_KMEANS)
    return FAIRSEQ_WAV2VEC


def write_wav2vec(path: Path, checkpoint: Checkpoint) -> list[str]:
    """Write one file and describe the extra data: every head but fairseq's own.

    Raises:
        ConfigurationError: the prediction head is missing, which fairseq requires.
    """
    head = checkpoint.heads.get("pretraining")
    if head is None or not holds(FAIRSEQ_STEPS, head.tensors):
        raise ConfigurationError(
            f"This {checkpoint.family} has no prediction head (project_to_steps), and fairseq's code loads none "
            "without. Save it as sonant."
        )
    state, _ = write(checkpoint.backbone_state, rows_for(checkpoint.config))
    state |= write(head.tensors, FAIRSEQ_STEPS.rows)[0]
    others = [kind for kind in checkpoint.heads if kind != "pretraining"]
    carried = checkpoint.metadata.get("fairseq", {})
    settings = {
        "model": {**carried.get("model", {}), "_name": "wav2vec", **_write_settings(checkpoint)},
        "task": {
            **carried.get("task", {}),
            "_name": "audio_pretraining",
            "normalize": checkpoint.normalize,
            "sample_rate": checkpoint.config.sampling_rate,
        },
    }
    write_pickle(
        path,
        {"args": None, "cfg": settings, "model": own_storage(state), KEY: pack_extra(checkpoint, heads=others)},
    )
    return describe_extra(checkpoint, heads=others)


def _write_settings(checkpoint: Checkpoint) -> dict[str, Any]:
    config, head = checkpoint.config, checkpoint.heads["pretraining"]
    if not isinstance(config, WaveformConvNetConfig):
        raise ConfigurationError(f"{type(config).__name__} is no wav2vec or vq-wav2vec, which is expected here.")
    refuse_inexpressible(config, "fairseq")
    settings: dict[str, Any] = {
        "conv_feature_layers": format_convs(
            zip(config.conv_channels, config.conv_kernels, config.conv_strides, strict=True)
        ),
        "conv_aggregator_layers": format_convs((config.dim, kernel, 1) for kernel in config.context_kernels),
        "log_compression": config.log_compression,
        "skip_connections_agg": config.skip_connections,
        "residual_scale": RESIDUAL_SCALE,
        "agg_zero_pad": config.zero_padding,
        "activation": config.activation,
        "dropout": config.dropout,
        "prediction_steps": head.tensors["steps.weight"].shape[3],
        "offset": str(head.metadata.get("offset", "auto")),
        "vq_type": "none",
    }
    if isinstance(config, VQWav2VecConfig):
        settings |= {
            "vq_type": config.quantizer,
            "vq_vars": config.codebook_size,
            "vq_groups": config.num_codebooks,
            "vq_depth": config.projection_depth,
            "combine_groups": config.shared_codebook,
        }
        if config.quantizer == "gumbel" and config.projection_factor != 2 and config.projection_depth > 1:
            raise ConfigurationError(
                f"This model has projection_factor={config.projection_factor}, which a file of fairseq cannot say (2 "
                "is built in). Save it as sonant."
            )
    return settings
