"""Folders of transformers: config.json, model.safetensors or pytorch_model.bin, preprocessor_config.json.

Heads without a class in transformers (pretraining heads of HuBERT and WavLM, second heads) are written to a separate
file, which transformers ignores.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sonant.checkpoints.checkpoint import UNUSED, Checkpoint
from sonant.checkpoints.completeness import holds
from sonant.checkpoints.configs import make_config
from sonant.checkpoints.extra_data import describe_extra
from sonant.checkpoints.families import LAYOUTS, head_maps
from sonant.checkpoints.files import write_json, write_safetensors
from sonant.checkpoints.folder import CONFIG, PREPROCESSORS, WEIGHTS, replacing_model
from sonant.checkpoints.hf_config import (
    backbone_settings,
    family_in,
    head_metadata,
    plain_values,
    unused_settings,
    write_config,
)
from sonant.checkpoints.hf_folder import HFFolder
from sonant.checkpoints.hf_heads import head_maps_of, heads_in
from sonant.checkpoints.hf_layouts import Layout
from sonant.checkpoints.languages import Get, Languages, adapter_of, in_language, refuse_language
from sonant.checkpoints.lora import with_lora_merged
from sonant.checkpoints.name_maps.hf import HF_UNUSED
from sonant.checkpoints.parameter_names import write
from sonant.checkpoints.quantized import refuse_quantized
from sonant.checkpoints.reading import translate
from sonant.checkpoints.sonant_folder import (
    SONANT_TYPE,
    own_notes,
    read_extra_heads,
    read_sonant_folder,
    write_extra_heads,
)
from sonant.checkpoints.tokenizer_files import read_tokenizer, write_tokenizer
from sonant.checkpoints.wrappers import split_overrides, unwrap
from sonant.errors import CheckpointMismatch
from sonant.models import WaveformTransformerConfig
from sonant.models.normalization import TRANSFORMERS_EPSILON


def read_hf(
    folder: HFFolder, *, overrides: Mapping[str, Any] | None = None, language: str | None = None, get: Get | None = None
) -> Checkpoint:
    """Return a checkpoint from a folder; `language` as in `load_checkpoint`, `get` as in `Languages`."""
    raw_config, source = folder.config(), folder.source
    if raw_config.get("model_type") == SONANT_TYPE:
        refuse_language(language, source)
        return read_sonant_folder(folder.path, raw_config, folder.tensors(), overrides)
    theirs = plain_values(raw_config)
    layout = LAYOUTS[family_in(theirs, source)]
    checkpoint = _read(folder, theirs, layout, overrides)
    checkpoint.metadata.update({"hf": raw_config}, **own_notes(theirs, source))
    if "ctc" in checkpoint.heads:
        head = checkpoint.heads["ctc"]
        head.metadata.update(read_tokenizer(folder.tokenizer, len(head.tensors["weight"]), theirs))
    config = checkpoint.config
    if isinstance(config, WaveformTransformerConfig) and config.attention_adapter_dim is not None:
        languages = Languages(folder.path, theirs, config, prefix=layout.prefix, source=source, get=get)
        return in_language(checkpoint, languages, language)
    refuse_language(language, source)
    return checkpoint


def _read(
    folder: HFFolder, theirs: Mapping[str, Any], layout: Layout, overrides: Mapping[str, Any] | None
) -> Checkpoint:
    """Return the model and its heads, without tokenizer."""
    family, source = family_in(theirs, folder.source), folder.source
    preprocessor, said_by = folder.preprocessor()
    settings = backbone_settings(theirs, layout, preprocessor, source)
    wanted, overrides = split_overrides(overrides)
    weights, overrides = with_lora_merged(folder.tensors(), folder.path, overrides, source)
    refuse_quantized(weights, theirs, source)
    kind = layout.model_type
    found = unwrap(weights, layout.rows, inner=(layout.prefix,), source=source, family=kind, wanted=wanted)
    state, within = found.without(layout.prefix)
    maps, reason = heads_in(state, theirs, layout)
    settings["sampling_rate"] = preprocessor.get("sampling_rate", 16_000)
    settings["conv_bias"] = "feature_extractor.conv_layers.0.conv.bias" in state
    config = make_config(family, settings, overrides, source=source)
    _compare(state, layout.derived(config), source)
    reading = translate(found, state, layout.rows, maps, source=source, within=within)
    known = {kind: head_metadata(kind, theirs) for kind in reading.heads}
    whole = head_maps(family) | {kind: maps[kind] for kind in reading.heads}
    known |= read_extra_heads(folder.path, reading.translated)
    normalize_from = said_by or layout.normalize_from
    metadata = {"hf_preprocessor": preprocessor, "normalize_from": normalize_from, "config_from": CONFIG}
    return reading.checkpoint(config, made_by="hf", heads=whole, known=known, metadata=metadata, reason=reason)


def _compare(state: dict[str, Tensor], derived: Mapping[str, Tensor], source: object) -> None:
    """Remove tensors that the configuration determines; raise CheckpointMismatch if they differ beyond rounding."""
    for name, expected in derived.items():
        found = state.pop(name, expected)
        if found.shape != expected.shape or not torch.allclose(found.float(), expected, rtol=1e-2, atol=0):
            raise CheckpointMismatch(
                f"{source}: {name} {tuple(found.shape)} is not what the configuration makes of it, "
                f"{tuple(expected.shape)}. The two do not belong together; check that both come from one download."
            )


def write_hf(folder: Path, checkpoint: Checkpoint) -> list[str]:
    """Write a folder for transformers; return the heads for which it has no class."""
    layout = LAYOUTS[checkpoint.family]
    tables = head_maps_of(layout)
    kind = class_of_head(checkpoint)
    config = write_config(checkpoint, kind)
    state, _ = write(checkpoint.backbone_state, layout.rows)
    state |= layout.derived(checkpoint.config)
    unused = checkpoint.heads.get(UNUSED) if layout.unused else None
    if unused is not None:
        state |= write(unused.tensors, HF_UNUSED.rows)[0]
        config |= unused_settings(unused)
    if kind is not None:
        prefix = "" if kind in layout.beside_backbone else layout.prefix
        state = {f"{prefix}{name}": tensor for name, tensor in state.items()}
        state |= write(checkpoint.heads[kind].tensors, tables[kind].rows)[0]
    others = {name: head for name, head in checkpoint.heads.items() if name != kind and head is not unused}
    with replacing_model(folder) as draft:
        write_safetensors(draft / WEIGHTS[0], state, {"format": "pt"})
        write_json(draft / CONFIG, config)
        write_json(draft / PREPROCESSORS[0], preprocessor_settings(checkpoint))
        if kind == "ctc":
            write_tokenizer(draft, checkpoint.heads["ctc"])
        if checkpoint.languages is not None:
            checkpoint.languages.write(draft, adapter_of(checkpoint))
        write_extra_heads(draft, others)
    return describe_extra(checkpoint, heads=others, epsilon=TRANSFORMERS_EPSILON)


def _fits(checkpoint: Checkpoint, kind: str) -> bool:
    """Return whether transformers has a class for this head of this model."""
    layout = LAYOUTS[checkpoint.family]
    return layout.has(checkpoint.config, kind) and holds(head_maps_of(layout)[kind], checkpoint.heads[kind].tensors)


def class_of_head(checkpoint: Checkpoint) -> str | None:
    """Return the kind of the head with which transformers has a class for this model; None if there is none."""
    kinds = head_maps_of(LAYOUTS[checkpoint.family])
    return next((kind for kind in kinds if kind in checkpoint.heads and _fits(checkpoint, kind)), None)


def preprocessor_settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return preprocessor_config.json of a checkpoint."""
    layout = LAYOUTS[checkpoint.family]
    carried = checkpoint.metadata.get("hf_preprocessor", {})
    kept = {"padding_value"} & carried.keys() if carried.get("feature_extractor_type") == layout.extractor else ()
    return {
        "feature_extractor_type": layout.extractor,
        **layout.preprocessor(checkpoint.config),
        **{name: carried[name] for name in kept},
    }
