"""Conversion between transformers' config.json and sonant's configurations."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sonant.checkpoints.checkpoint import Checkpoint, Head
from sonant.checkpoints.families import LAYOUTS
from sonant.checkpoints.hf_heads import GENDERS
from sonant.checkpoints.hf_layouts import Layout
from sonant.checkpoints.sonant_folder import SONANT_TYPE, own_settings
from sonant.configuration import fitting
from sonant.errors import ConfigurationError, CorruptedCheckpoint, UnknownCheckpoint, UnsupportedCheckpoint
from sonant.models import BackboneConfig
from sonant.models.families import FAMILIES

# Unsupported model types with a name similar to a supported one.
UNLIKE = {"sew-d": "SEW-D, whose attention is that of DeBERTa; the models of type 'sew' load"}


def is_known(config: Mapping[str, Any]) -> bool:
    """Return whether a config.json of transformers or sonant is of a supported family."""
    return config.get("model_type") in (SONANT_TYPE, *(layout.model_type for layout in LAYOUTS.values()))


def family_in(config: Mapping[str, Any], source: object) -> str:
    """Return the family of a config.json."""
    kind = config.get("model_type")
    for family, layout in LAYOUTS.items():
        if layout.model_type == kind:
            return family
    if kind in UNLIKE:
        raise UnsupportedCheckpoint(
            f"{source}: config.json is of model type {kind!r}, that is {UNLIKE[kind]}. sonant does not have it."
        )
    known = ", ".join(repr(layout.model_type) for layout in LAYOUTS.values())
    raise UnknownCheckpoint(
        f"{source}: config.json is of model type {kind!r}. Known: {known}."
        + (
            " Give the folder of the speech encoder itself. If the weights hold one inside of another model, give the "
            "file of weights, and say what it leaves open: sonant.load('model.safetensors', overrides={'normalize': "
            "True, 'family': 'wav2vec2'})."
            if kind
            else " Is it the configuration of a model at all?"
        )
    )


def backbone_settings(
    config: Mapping[str, Any], layout: Layout, preprocessor: Mapping[str, Any], source: object
) -> dict[str, Any]:
    """Return values of sonant's configuration, without the bias of convolutions, which the tensors determine."""
    for name, value, meaning in layout.required:
        if config.get(name) not in (value, None):
            raise UnsupportedCheckpoint(
                f"{source}: config.json says {name}={config[name]!r}, that is {meaning}. sonant's models do not have "
                f"it; only {name}={value!r} can be loaded."
            )
    values = {ours: _typed(config.get(name, default), default, name, source) for ours, name, default in layout.settings}
    return values | layout.read(config, preprocessor, source)


def _typed(value: Any, default: Any, name: str, source: object) -> Any:
    """Return a value as the type of its default (null is the default), or raise an error."""
    if value is None:
        return default
    if isinstance(default, bool) and value in (0, 1):
        return bool(value)
    try:
        return fitting(value, tuple[int, ...] if isinstance(default, tuple) else type(default), name)
    except ConfigurationError as error:
        raise CorruptedCheckpoint(f"{source}: config.json says {error} The file is damaged.") from error


def plain_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a JSON file, with quoted numbers, booleans and null converted."""
    return {name: _unquoted(value) for name, value in config.items()}


def _unquoted(value: Any) -> Any:
    if isinstance(value, list):
        return [_unquoted(item) for item in value]
    if not isinstance(value, str):
        return value
    if value.lower() in ("true", "false", "null"):
        return {"true": True, "false": False}.get(value.lower())
    for number, pattern in ((int, r"[+-]?\d{1,18}"), (float, r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")):
        if re.fullmatch(pattern, value.strip()):
            return number(value)
    return value


# Metadata of heads for which transformers has no setting.
NOTES = ("temperature", "groups", "training", "frames", "num_speakers", "max_at_once", "threshold", "median_frames")
NOTED = "sonant_head"  # the setting that holds them, which transformers ignores


def head_metadata(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a head's metadata from config.json."""
    noted = config.get(NOTED)
    return _settings_of_head(kind, config) | (
        noted if isinstance(noted, dict) and kind not in ("pretraining", "unused") else {}
    )


def _settings_of_head(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    match kind:
        case "ctc":
            return {"blank": config.get("pad_token_id", 0) or 0}
        case "frame_classification":
            return {"labels": _labels(config)}
        case "sequence_classification":
            return {"labels": _labels(config), **_problem(config)}
        case "speech_classification":
            pooling = config.get("pooling_mode", "mean")
            return {"labels": _labels(config), "pooling_mode": pooling, **_problem(config)}
        case "age_gender":
            return {"labels": _genders(config)}
        case "xvector":
            return {
                "labels": _labels(config),
                "tdnn_kernel": list(config.get("tdnn_kernel", (5, 3, 3, 1, 1))),
                "tdnn_dilation": list(config.get("tdnn_dilation", (1, 2, 3, 1, 1))),
            }
        case "unused":
            return {}
        case _:
            return (
                {}
                if config.get("model_type") == "hubert"
                else {"num_codebooks": config.get("num_codevector_groups", 2)}
            )


def _labels(config: Mapping[str, Any]) -> list[str] | None:
    names = config.get("id2label")
    if isinstance(names, list):
        return [str(name) for name in names]
    if not isinstance(names, dict) or not names:
        return None
    for table in (names, {value: key for key, value in names.items() if isinstance(value, int | str)}):  # or reversed
        numbered = len(table) == len(names) and all(re.fullmatch(r"\d{1,9}", str(key)) for key in table)
        if numbered and sorted(map(int, table)) == list(range(len(table))):
            return [str(table[key]) for key in sorted(table, key=int)]
    raise CorruptedCheckpoint(
        f"config.json says id2label={names!r:.120}; expected the numbers of labels, from 0 on without a gap, and their "
        'names, such as {"0": "angry", "1": "calm"}. Correct it in config.json.'
    )


def _problem(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the problem type of a classifier, if config.json has it."""
    problem = config.get("problem_type")
    if problem is None and config.get("finetuning_task") == "wav2vec2_reg":
        problem = "regression"
    return {} if problem is None else {"problem_type": problem}


def _genders(config: Mapping[str, Any]) -> list[str]:
    """Return the labels for gender in config.json, else those of the model card."""
    named = [label.lower() for label in _labels(config) or [] if label.lower() != "age"]
    return named if set(named) == set(GENDERS) and len(named) == len(GENDERS) else list(GENDERS)


def write_config(checkpoint: Checkpoint, kind: str | None) -> dict[str, Any]:
    """Return config.json of a checkpoint; `kind`: the head with a class in transformers, or None."""
    layout = LAYOUTS[checkpoint.family]
    config: dict[str, Any] = dict(checkpoint.metadata.get("hf", {}))
    for stale in ("transformers_version", "dtype", "torch_dtype", "_name_or_path", "architectures", NOTED):
        config.pop(stale, None)
    config["architectures"] = [FAMILIES[checkpoint.family].peer if kind is None else layout.classes[kind]]
    config["model_type"] = layout.model_type
    config |= _plain_settings(checkpoint.config, layout) | layout.write(checkpoint.config)
    config |= {name: value for name, value, _ in layout.required if isinstance(value, str)}
    if "mask_embedding" not in checkpoint.backbone_state:
        # transformers creates a random embedding unless both are 0.
        config |= {"mask_time_prob": 0.0, "mask_feature_prob": 0.0}
    elif not config.get("mask_time_prob", 0.05) and not config.get("mask_feature_prob", 0.0):
        config["mask_time_prob"] = 0.05
    dtypes = {tensor.dtype for tensor in checkpoint.backbone_state.values() if tensor.is_floating_point()}
    if len(dtypes) == 1:
        config["torch_dtype"] = str(dtypes.pop()).partition(".")[2]
    if kind is not None:
        config |= _head_settings(kind, checkpoint.heads[kind])
        noted = {name: value for name, value in checkpoint.heads[kind].metadata.items() if name in NOTES}
        config |= {NOTED: noted} if noted else {}
    return config | own_settings(checkpoint)


def _plain_settings(ours: BackboneConfig, layout: Layout) -> dict[str, Any]:
    values = {theirs: getattr(ours, name) for name, theirs, _ in layout.settings}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def codebooks(head: Head) -> tuple[int, int, int]:
    """Return the number of codebooks of a contrastive head, their size, and the width of a code vector."""
    _, rows, width = head.tensors["quantizer.codebook"].shape
    num_codebooks = head.tensors["target_projection.weight"].shape[1] // width
    return num_codebooks, rows // num_codebooks, width


def unused_settings(head: Head) -> dict[str, Any]:
    """Return the sizes of a Conformer's unused positional convolution."""
    dim, group_dim, kernel = head.tensors["positions.weight_v"].shape
    return {"num_conv_pos_embeddings": kernel, "num_conv_pos_embedding_groups": dim // group_dim}


def _head_settings(kind: str, head: Head) -> dict[str, Any]:
    t, known = head.tensors, head.metadata
    match kind:
        case "ctc":
            return {"vocab_size": t["weight"].shape[0], "pad_token_id": known.get("blank", 0)}
        case "pretraining" if "quantizer.codebook" not in t:
            return {"classifier_proj_size": t["projection.weight"].shape[0]}
        case "age_gender":
            return _label_settings(known.get("labels") or GENDERS)
        case "pretraining":
            num_codebooks, codebook_size, width = codebooks(head)
            sizes = {"num_ctc_classes": "ctc_head.weight", "num_clusters": "label_embeddings"}
            return {
                **{name: t[tensor].shape[0] for name, tensor in sizes.items() if tensor in t},
                "num_codevector_groups": num_codebooks,
                "num_codevectors_per_group": codebook_size,
                "codevector_dim": width * num_codebooks,
                "proj_codevector_dim": t["target_projection.weight"].shape[0],
            }
    settings: dict[str, Any] = {"use_weighted_layer_sum": "layer_weights" in t}
    if settings["use_weighted_layer_sum"]:
        # The last of the states that are summed is behind the final norm, as it was in transformers 4. Version 5 takes
        # it before that norm unless the configuration says otherwise.
        settings["tie_last_hidden_states"] = True
    if kind == "xvector":
        widths = [
            t[f"time_delay.{i}.weight"].shape[0]
            for i in range(sum(name.startswith("time_delay.") and name.endswith(".bias") for name in t))
        ]
        settings |= {
            "tdnn_dim": widths,
            "tdnn_kernel": known.get("tdnn_kernel", [5, 3, 3, 1, 1]),
            "tdnn_dilation": known.get("tdnn_dilation", [1, 2, 3, 1, 1]),
            "xvector_output_dim": t["embedding.weight"].shape[0],
        }
        num_labels = t["objective"].shape[1]
    elif kind == "speech_classification":
        settings["pooling_mode"] = known.get("pooling_mode", "mean")
        num_labels = t["classifier.output.weight"].shape[0]
    else:
        num_labels = t["classifier.weight"].shape[0]
    if kind == "sequence_classification":
        settings["classifier_proj_size"] = t["projector.weight"].shape[0]
    if known.get("problem_type"):
        settings["problem_type"] = known["problem_type"]
    return settings | _label_settings(known.get("labels") or [f"LABEL_{i}" for i in range(num_labels)])


def _label_settings(labels: Sequence[str]) -> dict[str, Any]:
    return {
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
    }
