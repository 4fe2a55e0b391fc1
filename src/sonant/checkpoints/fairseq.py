"""Checkpoints of fairseq (pretrained and fine-tuned), unilm (WavLM) and s3prl, which share their names of tensors."""

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from sonant.checkpoints.aside import KEY, head_maps, settings_aside, take_back
from sonant.checkpoints.checkpoint import Checkpoint
from sonant.checkpoints.completeness import check
from sonant.checkpoints.configs import make_config
from sonant.checkpoints.content_vec import SPEAKER_LAYERS, split_content_vec
from sonant.checkpoints.deduce import deduce_config
from sonant.checkpoints.discrete_bert import is_discrete_bert, read_discrete_bert
from sonant.checkpoints.fairseq_config import backbone_settings, waveform_transformer
from sonant.checkpoints.fairseq_dictionary import ctc_metadata, symbols_of
from sonant.checkpoints.fairseq_wav2vec import is_wav2vec, read_wav2vec
from sonant.checkpoints.files import only_tensors
from sonant.checkpoints.name_maps.fairseq import (
    FAIRSEQ,
    FAIRSEQ_BATCH_NORM_POSITIONS,
    FAIRSEQ_CONTRAST,
    FAIRSEQ_CTC,
    FAIRSEQ_GROUP_NORM,
    FAIRSEQ_LAYER_NORM,
    FAIRSEQ_POSITIONS,
    FAIRSEQ_PREDICTION,
    FAIRSEQ_STACKED_POSITIONS,
)
from sonant.checkpoints.parameter_names import HeadMap, NameMap, Translated, make_heads, read
from sonant.checkpoints.unknown_parts import take_out, warn_of
from sonant.checkpoints.unpickle import plain
from sonant.checkpoints.wrappers import Unwrapped, split_overrides, unwrap
from sonant.errors import (
    CheckpointMismatch,
    CorruptedCheckpoint,
    UnknownCheckpoint,
    UnsupportedCheckpoint,
)
from sonant.models import BackboneConfig, HuBERTConfig
from sonant.models.families import family_of

TEACHER = "_ema"
PREFIXES = ("w2v_encoder.w2v_model.", "w2v_encoder.", "w2v_model.")  # of a fine-tuned model, the longest first


def is_fairseq(state: Mapping[Any, Any]) -> bool:
    """Return whether an unpickled dict is of the kind that `read_fairseq` reads."""
    return ("model" in state and ("cfg" in state or "args" in state)) or {"model_weight", "model_cfg"} <= state.keys()


def read_fairseq(state: Mapping[Any, Any], source: object, *, overrides: Mapping[str, Any] | None = None) -> Checkpoint:
    """A checkpoint from what the unpickler made of the file."""
    if "model_weight" in state:
        return _read_s3prl(state, source, overrides)
    raw = state.get("cfg") if state.get("cfg") is not None else state.get("args")
    if raw is None:
        raise CorruptedCheckpoint(f"{source} has weights, but neither 'cfg' nor 'args' says of which model.")
    config = plain(raw)
    tensors = _without_prefix(only_tensors(_without_teacher(state["model"]), source))
    if not isinstance(config, dict):
        raise CorruptedCheckpoint(f"{source}: its configuration is a {type(config).__name__}, not a set of settings.")
    if state.get("cfg") is not None and "model" not in config:
        return _read_unilm(state, config, tensors, source, overrides)
    model, task, tuned = _parts(config)
    if is_discrete_bert(tensors):
        return read_discrete_bert(state, tensors, model, source, overrides=overrides)
    if is_wav2vec(tensors):
        container = "args" if state.get("cfg") is None else "cfg"
        return read_wav2vec(state, tensors, model, task, source, container=container, overrides=overrides)
    wanted, overrides = split_overrides(overrides)
    found = _unwrapped(tensors, source, wanted)
    tensors, dropped = split_content_vec(found.tensors, model)
    family = _family(model, tuned, tensors)
    rows = rows_in(tensors)
    translated = read(tensors, rows, fairseq_heads(family))
    left = found.left([*dropped, *take_out(translated, rows)])
    normalize = _first(tuned.get("task", {}), task, model, tuned.get("model", {}), key="normalize")
    aside = settings_aside(state.get(KEY))
    if "encoder_layers" in model or "encoder_embed_dim" in model or not tuned:
        settings = backbone_settings(model, source, family=family)
        settings["conv_bias"] = "extractor.layers.0.conv.bias" in translated.backbone
        settings["normalize"] = settings["extractor_norm"] == "layer" if normalize is None else bool(normalize)
        ours = make_config(family, settings | aside, overrides, source=source)
        origin = "args" if state.get("cfg") is None else "cfg"
    else:  # fine-tuned, and the settings of the pretrained model are in another file
        told = aside if normalize is None else {**aside, "normalize": bool(normalize)}
        ours = deduce_config(translated.backbone, family=family, source=source, overrides=told | dict(overrides or {}))
        origin = "the shapes of the tensors"
    known = {
        "ctc": ctc_metadata(
            _task_state(state).get("target_dictionary"),
            tuned.get("task", {}),
            source,
            size=len(translated.heads["ctc"]["weight"]) if "ctc" in translated.heads else None,
        ),
        "pretraining": _pretraining_metadata(state, model, family),
        **take_back(state.get(KEY), translated),
    }
    _check(translated, ours, source)
    warn_of(left, source, SPEAKER_LAYERS if dropped else "")
    metadata = {
        "fairseq": {"model": model, "task": task, "tuned": tuned},
        "normalize_from": "the extractor's norm, as in the published models" if normalize is None else "task.normalize",
        "config_from": origin,
    }
    return Checkpoint(ours, translated.backbone, make_heads(translated, known), "fairseq", metadata)


def _read_unilm(
    state: Mapping[Any, Any],
    config: dict[str, Any],
    tensors: dict[str, Tensor],
    source: object,
    overrides: Mapping[str, Any] | None,
) -> Checkpoint:
    if "encoder_layers" not in config:
        raise UnknownCheckpoint(
            f"{source}: its configuration has neither a part 'model' (fairseq) nor the settings of a WavLM (unilm). "
            f"It has {', '.join(map(str, list(config)[:10]))}."
        )
    wanted, overrides = split_overrides(overrides)
    found = _unwrapped(tensors, source, wanted)
    tensors = found.tensors
    rows = rows_in(tensors)
    translated = read(tensors, rows, {})
    left = found.left(take_out(translated, rows))
    settings = backbone_settings(config, source, family="wavlm")
    settings["conv_bias"] = "extractor.layers.0.conv.bias" in translated.backbone
    settings["normalize"] = bool(config.get("normalize", False))
    ours = make_config("wavlm", settings | settings_aside(state.get(KEY)), overrides, source=source)
    known = take_back(state.get(KEY), translated)
    _check(translated, ours, source)
    warn_of(left, source)
    metadata = {"unilm": config, "normalize_from": "cfg.normalize", "config_from": "cfg"}
    return Checkpoint(ours, translated.backbone, make_heads(translated, known), "unilm", metadata)


def _read_s3prl(state: Mapping[Any, Any], source: object, overrides: Mapping[str, Any] | None) -> Checkpoint:
    model, task = plain(state["model_cfg"]), plain(state.get("task_cfg", {}))
    tensors = only_tensors(state["model_weight"], source)
    if not isinstance(model, dict) or not isinstance(task, dict):
        raise CorruptedCheckpoint(f"{source}: model_cfg and task_cfg are no sets of settings.")
    if is_discrete_bert(tensors):
        return read_discrete_bert(state, tensors, model, source, overrides=overrides)
    if is_wav2vec(tensors):
        return read_wav2vec(state, tensors, model, task, source, container="model_cfg", overrides=overrides)
    wanted, overrides = split_overrides(overrides)
    found = _unwrapped(tensors, source, wanted)
    tensors = found.tensors
    dictionaries = plain(state.get("dictionaries_symbols"))
    family = "hubert" if dictionaries is not None else _family(model, {}, tensors)
    rows = rows_in(tensors)
    translated = read(tensors, rows, fairseq_heads(family))
    left = found.left(take_out(translated, rows))
    settings = backbone_settings(model, source, family=family)
    settings["conv_bias"] = "extractor.layers.0.conv.bias" in translated.backbone
    settings["normalize"] = bool(task.get("normalize", settings["extractor_norm"] == "layer"))
    ours = make_config(family, settings, overrides, source=source)
    _check(translated, ours, source)
    warn_of(left, source)
    known = {
        "pretraining": {"dictionaries": dictionaries}
        if family == "hubert"
        else {"groups": model.get("latent_groups", 2)}
    }
    metadata = {
        "fairseq": {"model": model, "task": task, "tuned": {}},
        "normalize_from": "task_cfg.normalize",
        "config_from": "model_cfg",
    }
    return Checkpoint(ours, translated.backbone, make_heads(translated, known), "s3prl", metadata)


def _unwrapped(tensors: dict[str, Tensor], source: object, wanted: object) -> Unwrapped:
    """Free a wav2vec 2.0, HuBERT or WavLM of what was put around it, and of the prefixes of a fine-tuned model."""
    model = "wav2vec 2.0, HuBERT or WavLM of fairseq"
    found = unwrap(tensors, rows_in(()), inner=PREFIXES, source=source, family=model, wanted=wanted)
    return found._replace(tensors=_without_prefix(found.tensors))


def _without_teacher(state: Any) -> Any:
    """The state dict without the running mean of weights that a data2vec learned from, which fine-tuning drops too."""
    if not isinstance(state, Mapping):
        return state
    return {name: value for name, value in state.items() if name != TEACHER}


def _without_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    stripped: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), "")
        stripped[name.removeprefix(prefix)] = tensor
    if len(stripped) != len(tensors):
        raise CheckpointMismatch("The file has the same tensor with and without the prefix of a fine-tuned model.")
    return stripped


def _parts(config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Settings of the pretrained model and of its task, and in a fine-tuned file {"model", "task"} of the tuning."""
    model = config.get("model", config)  # args: one flat set for everything
    task = config.get("task", config)
    if not isinstance(model, dict):
        raise CorruptedCheckpoint("The configuration has no settings of the model.")
    task = task if isinstance(task, dict) else config  # args.task is a word
    if not ("w2v_args" in model or "w2v_path" in model):
        return model, task, {}
    tuned = {"model": {name: value for name, value in model.items() if name != "w2v_args"}, "task": task}
    inner = model.get("w2v_args")
    if not isinstance(inner, dict):
        return {}, {}, tuned
    pretrained, pretraining = inner.get("model", inner), inner.get("task", inner)
    return (
        pretrained if isinstance(pretrained, dict) else inner,
        pretraining if isinstance(pretraining, dict) else inner,
        tuned,
    )


def _family(model: Mapping[str, Any], tuned: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    if any(name.endswith(".self_attn.grep_a") for name in tensors):
        return "wavlm"
    settings = (model, tuned.get("model", {}))
    names = [str(part.get(key, "")) for part in settings for key in ("_name", "arch")]
    for name in names:
        if name == "data2vec_audio":
            return "data2vec"
        if any(other in name for other in ("data2vec", "vggish", "speech2c", "sat", "wav2vec_seq2seq", "vq_wav2vec")):
            raise UnsupportedCheckpoint(
                f"The model is called {name!r}; known are wav2vec2, hubert, wavlm, data2vec_audio and their CTC models."
            )
    hubert = any("hubert" in name or "contentvec" in name for name in names)
    return "hubert" if hubert or "label_embs_concat" in tensors else "wav2vec2"


def fairseq_heads(family: str) -> dict[str, HeadMap]:
    """The heads that fairseq has a place for."""
    return {"ctc": FAIRSEQ_CTC, "pretraining": FAIRSEQ_CONTRAST if family == "wav2vec2" else FAIRSEQ_PREDICTION}


def _first(*parts: Mapping[str, Any], key: str) -> Any:
    return next((part[key] for part in parts if part.get(key) is not None), None)


def _check(translated: Translated, config: BackboneConfig, source: object) -> None:
    width = waveform_transformer(config).conv_channels[-1]
    if config.dim == width and "projection.linear.weight" not in translated.backbone:
        raise UnsupportedCheckpoint(
            f"{source}: the model is as wide as its last convolution ({config.dim}) and has no projection between the "
            "two (post_extract_proj); sonant's models always have one."
        )
    check(
        translated,
        config,
        source=source,
        rows=rows_for(config),
        heads={**head_maps(family_of(config).key), "ctc": FAIRSEQ_CTC},
    )


def rows_in(names: Collection[str]) -> NameMap:
    """The table with the norms of either extractor, and the positions that a file has: what is read."""
    positions = FAIRSEQ_POSITIONS
    if "encoder.pos_conv.0.running_mean" in names:
        positions = FAIRSEQ_BATCH_NORM_POSITIONS
    elif "encoder.pos_conv.0.0.weight" in names:
        positions = FAIRSEQ_STACKED_POSITIONS
    return (*FAIRSEQ, *positions, *FAIRSEQ_GROUP_NORM, *FAIRSEQ_LAYER_NORM)


def rows_for(config: BackboneConfig) -> NameMap:
    """The table with the norms and positions of this model only: what is written."""
    grouped = waveform_transformer(config).extractor_norm == "group"
    batch_norm = isinstance(config, HuBERTConfig) and config.position_norm == "batch"
    return (
        *FAIRSEQ,
        *(FAIRSEQ_BATCH_NORM_POSITIONS if batch_norm else FAIRSEQ_POSITIONS),
        *(FAIRSEQ_GROUP_NORM if grouped else FAIRSEQ_LAYER_NORM),
    )


def _task_state(state: Mapping[Any, Any]) -> Mapping[Any, Any]:
    found = state.get("task_state")
    return found if isinstance(found, Mapping) else {}


def _pretraining_metadata(state: Mapping[Any, Any], model: Mapping[str, Any], family: str) -> dict[str, Any]:
    if family == "wav2vec2":
        return {"groups": model.get("latent_groups", 2)}
    found = _task_state(state).get("dictionaries")
    dictionaries = [symbols_of(entry) for entry in found] if isinstance(found, list) else []
    return {"dictionaries": dictionaries} if dictionaries and all(dictionaries) else {}
