"""config.json of transformers and our configurations, both ways."""

from collections.abc import Mapping
from typing import Any

from sonant.checkpoints.checkpoint import Checkpoint, Head
from sonant.errors import CorruptedCheckpoint, UnknownCheckpoint, UnsupportedCheckpoint
from sonant.models import WaveformTransformerConfig

# Ours, theirs, and transformers' default where config.json leaves it out.
SETTINGS: tuple[tuple[str, str, Any], ...] = (
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
WAVLM_SETTINGS: tuple[tuple[str, str, Any], ...] = (
    ("num_buckets", "num_buckets", 320),
    ("max_distance", "max_bucket_distance", 800),
)

# A setting, the only value that we can do, and what another value means.
REQUIRED: tuple[tuple[str, Any, str], ...] = (
    ("hidden_act", "gelu", "another activation"),
    ("feat_extract_activation", "gelu", "another activation in the extractor"),
    ("add_adapter", False, "a convolutional adapter behind the encoder"),
    ("adapter_attn_dim", None, "adapters in the attention layers, as in MMS"),
    ("conv_pos_batch_norm", False, "a batch norm in the positional convolution"),
    ("feat_proj_layer_norm", True, "no layer norm before the projection of the features"),
)

CLASSES: dict[tuple[str, str | None], str] = {
    ("wavlm", None): "WavLMModel",
    ("wavlm", "ctc"): "WavLMForCTC",
    ("wavlm", "sequence_classification"): "WavLMForSequenceClassification",
    ("wavlm", "frame_classification"): "WavLMForAudioFrameClassification",
    ("wavlm", "xvector"): "WavLMForXVector",
    ("hubert", None): "HubertModel",
    ("hubert", "ctc"): "HubertForCTC",
    ("hubert", "sequence_classification"): "HubertForSequenceClassification",
    ("wav2vec2", None): "Wav2Vec2Model",
    ("wav2vec2", "ctc"): "Wav2Vec2ForCTC",
    ("wav2vec2", "sequence_classification"): "Wav2Vec2ForSequenceClassification",
    ("wav2vec2", "frame_classification"): "Wav2Vec2ForAudioFrameClassification",
    ("wav2vec2", "xvector"): "Wav2Vec2ForXVector",
    ("wav2vec2", "pretraining"): "Wav2Vec2ForPreTraining",
}


def model_type(config: Mapping[str, Any], source: object) -> str:
    """The family that a config.json names."""
    kind = config.get("model_type")
    if kind in ("wavlm", "hubert", "wav2vec2"):
        return str(kind)
    raise UnknownCheckpoint(
        f"{source}: config.json is of model type {kind!r}. Known: 'wavlm', 'hubert', 'wav2vec2'."
        + (" Give the folder of the speech encoder itself." if kind else " Is it the configuration of a model at all?")
    )


def backbone_settings(config: Mapping[str, Any], family: str, source: object) -> dict[str, Any]:
    """Values for our configuration; the bias of the convolutions is left to the tensors, which know it better."""
    for name, value, meaning in REQUIRED:
        if config.get(name, value) not in ((value, None) if value is False else (value,)):
            raise UnsupportedCheckpoint(
                f"{source}: config.json says {name}={config[name]!r}, that is {meaning}. sonant's models do not have "
                f"it; only {name}={value!r} can be loaded."
            )
    values = {}
    for ours, name, default in (*SETTINGS, *(WAVLM_SETTINGS if family == "wavlm" else ())):
        values[ours] = _typed(config.get(name, default), default, name, source)
    if values["extractor_norm"] not in ("group", "layer"):
        raise UnsupportedCheckpoint(
            f"{source}: config.json says feat_extract_norm={values['extractor_norm']!r}; known are 'group' and 'layer'."
        )
    return values


def _typed(value: Any, default: Any, name: str, source: object) -> Any:
    """The value as the type of the default, or an error: a configuration may come from anywhere."""
    if isinstance(default, tuple) and isinstance(value, list | tuple) and all(type(item) is int for item in value):
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(default, float | tuple) and type(value) is type(default):
        return value
    raise CorruptedCheckpoint(
        f"{source}: config.json says {name}={value!r}; expected something like {default!r}. The file is damaged."
    )


def head_metadata(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What config.json knows about a head."""
    match kind:
        case "ctc":
            return {"blank": config.get("pad_token_id", 0) or 0}
        case "sequence_classification" | "frame_classification":
            return {"labels": _labels(config)}
        case "xvector":
            return {
                "labels": _labels(config),
                "tdnn_kernel": list(config.get("tdnn_kernel", (5, 3, 3, 1, 1))),
                "tdnn_dilation": list(config.get("tdnn_dilation", (1, 2, 3, 1, 1))),
            }
        case _:
            return {"groups": config.get("num_codevector_groups", 2)}


def _labels(config: Mapping[str, Any]) -> list[str] | None:
    names = config.get("id2label")
    if not isinstance(names, dict):
        return None
    return [str(names[key]) for key in sorted(names, key=int)]


def write_config(checkpoint: Checkpoint, kind: str | None) -> dict[str, Any]:
    """config.json of a checkpoint whose head `kind` (or none) transformers knows."""
    ours = checkpoint.config
    config: dict[str, Any] = dict(checkpoint.metadata.get("hf", {}))
    for stale in ("transformers_version", "dtype", "torch_dtype", "_name_or_path", "architectures"):
        config.pop(stale, None)
    config["architectures"] = [CLASSES[checkpoint.family, kind]]
    config["model_type"] = checkpoint.family
    config |= _plain_settings(ours, SETTINGS + (WAVLM_SETTINGS if checkpoint.family == "wavlm" else ()))
    config |= {"conv_bias": ours.conv_bias, "num_feat_extract_layers": len(ours.conv_channels)}
    config |= {name: value for name, value, _ in REQUIRED if name in ("hidden_act", "feat_extract_activation")}
    if "mask_embedding" not in checkpoint.backbone_state:
        # transformers makes the embedding, at random, unless both of these are zero.
        config |= {"mask_time_prob": 0.0, "mask_feature_prob": 0.0}
    elif not config.get("mask_time_prob", 0.05) and not config.get("mask_feature_prob", 0.0):
        config["mask_time_prob"] = 0.05
    dtypes = {tensor.dtype for tensor in checkpoint.backbone_state.values() if tensor.is_floating_point()}
    if len(dtypes) == 1:
        config["torch_dtype"] = str(dtypes.pop()).partition(".")[2]
    if kind is not None:
        config |= _head_settings(kind, checkpoint.heads[kind])
    return config


def _plain_settings(ours: WaveformTransformerConfig, rows: tuple[tuple[str, str, Any], ...]) -> dict[str, Any]:
    values = {theirs: getattr(ours, name) for name, theirs, _ in rows}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _head_settings(kind: str, head: Head) -> dict[str, Any]:
    t, known = head.tensors, head.metadata
    match kind:
        case "ctc":
            return {"vocab_size": t["weight"].shape[0], "pad_token_id": known.get("blank", 0)}
        case "pretraining":
            groups = known.get("groups", 2)
            _, codes, width = t["quantizer.codevectors"].shape
            return {
                "num_codevector_groups": groups,
                "num_codevectors_per_group": codes // groups,
                "codevector_dim": width * groups,
                "proj_codevector_dim": t["project_q.weight"].shape[0],
            }
    settings: dict[str, Any] = {"use_weighted_layer_sum": "layer_weights" in t}
    if kind == "xvector":
        widths = [
            t[f"tdnn.{i}.weight"].shape[0] for i in range(sum(name.endswith(".bias") and "tdnn" in name for name in t))
        ]
        settings |= {
            "tdnn_dim": widths,
            "tdnn_kernel": known.get("tdnn_kernel", [5, 3, 3, 1, 1]),
            "tdnn_dilation": known.get("tdnn_dilation", [1, 2, 3, 1, 1]),
            "xvector_output_dim": t["embedding.weight"].shape[0],
        }
        num_labels = t["objective"].shape[1]
    else:
        num_labels = t["classifier.weight"].shape[0]
    if kind == "sequence_classification":
        settings["classifier_proj_size"] = t["projector.weight"].shape[0]
    labels = known.get("labels") or [f"LABEL_{i}" for i in range(num_labels)]
    settings["id2label"] = {str(i): label for i, label in enumerate(labels)}
    settings["label2id"] = {label: i for i, label in enumerate(labels)}
    return settings
