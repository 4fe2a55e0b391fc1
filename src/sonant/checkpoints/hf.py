"""Folders of transformers: config.json, model.safetensors or pytorch_model.bin, preprocessor_config.json.

Heads that transformers has no class for (the prediction head of HuBERT and WavLM, or a second head) are written beside
it, in a file of our own that transformers does not look at.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sonant.checkpoints.aside import describe, head_maps
from sonant.checkpoints.checkpoint import UNUSED, Checkpoint
from sonant.checkpoints.completeness import check, holds
from sonant.checkpoints.configs import make_config
from sonant.checkpoints.files import read_json, read_tensors, write_json, write_safetensors
from sonant.checkpoints.folder import CONFIG, PREPROCESSORS, WEIGHTS, index_of, replacing_model
from sonant.checkpoints.hf_config import (
    backbone_settings,
    family_in,
    head_metadata,
    plain_values,
    unused_settings,
    write_config,
)
from sonant.checkpoints.hf_heads import head_maps_of, heads_in
from sonant.checkpoints.hf_layouts import LAYOUTS
from sonant.checkpoints.languages import Get, Languages, adapter_of, in_language, refuse_language
from sonant.checkpoints.lora import with_lora_merged
from sonant.checkpoints.name_maps.hf import HF_UNUSED
from sonant.checkpoints.own import OWN_TYPE, int8_note, read_own, read_own_heads, write_own_heads
from sonant.checkpoints.parameter_names import grouped, make_heads, read, write
from sonant.checkpoints.quantized import refuse_quantized
from sonant.checkpoints.tokenizer_files import PIECES, VOCABULARY, read_tokenizer, write_tokenizer
from sonant.checkpoints.unknown_parts import take_out, warn_of
from sonant.checkpoints.wrappers import split_overrides, unwrap
from sonant.errors import CheckpointMismatch, CorruptedCheckpoint, UnknownCheckpoint
from sonant.models import WaveformTransformerConfig
from sonant.models.normalization import TRANSFORMERS_EPSILON


def read_hf(
    folder: Path,
    *,
    overrides: Mapping[str, Any] | None = None,
    weights: dict[str, Tensor] | None = None,
    source: object = None,
    language: str | None = None,
    get: Get | None = None,
    config_json: Mapping[str, Any] | None = None,
    beside: Path | None = None,
) -> Checkpoint:
    """A checkpoint from a folder.

    Args:
        weights: the tensors, where they are in no file of the usual names.
        language, get: as in `load_checkpoint` and `Languages`.
        config_json: the content of config.json, if it differs from that of the file.
        beside: a folder whose preprocessor and tokenizer go before those here.
    """
    source = source or folder
    theirs = dict(config_json or read_json(folder / CONFIG))
    if theirs.get("model_type") == OWN_TYPE:
        refuse_language(language, source)
        return read_own(folder, theirs, weights or read_weights(folder, source), overrides)
    wanted, overrides = split_overrides(overrides)
    told = theirs
    theirs = plain_values(theirs)
    family = family_in(theirs, source)
    layout = LAYOUTS[family]
    preprocessor, said_by = _read_preprocessor(beside) if beside else ({}, "")
    if not said_by:
        preprocessor, said_by = _read_preprocessor(folder)
    settings = backbone_settings(theirs, layout, preprocessor, source)
    settings["sampling_rate"] = preprocessor.get("sampling_rate", 16_000)
    weights, overrides = with_lora_merged(weights or read_weights(folder, source), folder, overrides, source)
    refuse_quantized(weights, theirs, source)
    found = unwrap(
        weights,
        layout.rows,
        inner=(layout.prefix,),
        source=source,
        family=layout.model_type,
        wanted=wanted,
    )
    state, within = found.without(layout.prefix)
    tables, reason = heads_in(state, theirs, layout)
    settings["conv_bias"] = "feature_extractor.conv_layers.0.conv.bias" in state
    config = make_config(family, settings, overrides, source=source)
    _compare(state, layout.derived(config), source)
    translated = read(state, layout.rows, tables)
    left = found.left(take_out(translated, layout.rows, within=within))
    known = {kind: head_metadata(kind, theirs) for kind in translated.heads}
    tables = head_maps(family) | {kind: tables[kind] for kind in translated.heads}
    known |= read_own_heads(folder, translated)
    check(translated, config, source=source, rows=layout.rows, heads=tables)
    warn_of(left, source, reason)
    heads = make_heads(translated, known)
    if "ctc" in heads:
        heads["ctc"].metadata.update(
            read_tokenizer(_with_tokenizer(beside) or folder, len(heads["ctc"].tensors["weight"]), theirs)
        )
    metadata = {
        "hf": told,
        "hf_preprocessor": preprocessor,
        "normalize_from": said_by or layout.normalize_from,
        "config_from": CONFIG,
        **int8_note(theirs, source),
    }
    checkpoint = Checkpoint(config, translated.backbone, heads, "hf", metadata)
    if isinstance(config, WaveformTransformerConfig) and config.attention_adapter_dim is not None:
        languages = Languages(folder, theirs, config, prefix=layout.prefix, source=source, get=get)
        return in_language(checkpoint, languages, language)
    refuse_language(language, source)
    return checkpoint


def _compare(state: dict[str, Tensor], derived: Mapping[str, Tensor], source: object) -> None:
    """Take out of a file what its configuration tells; CheckpointMismatch where the two differ beyond rounding."""
    for name, expected in derived.items():
        found = state.pop(name, expected)
        if found.shape != expected.shape or not torch.allclose(found.float(), expected, rtol=1e-2, atol=0):
            raise CheckpointMismatch(
                f"{source}: {name} {tuple(found.shape)} is not what the configuration makes of it, "
                f"{tuple(expected.shape)}. The two do not belong together; check that both come from one download."
            )


def read_weights(folder: Path, source: object) -> dict[str, Tensor]:
    """The tensors of a folder, from one file or from shards."""
    for name in WEIGHTS:
        if (folder / name).is_file():
            return read_tensors(folder / name)
        if (folder / index_of(name)).is_file():
            return _read_shards(folder, index_of(name))
    names = sorted(entry.name for entry in folder.iterdir())
    others = [name for name in names if name.endswith((".h5", ".msgpack", ".ckpt.index", ".gguf", ".onnx"))]
    files = [name for name in names if name.endswith((".safetensors", ".bin", ".pt", ".pth", ".ckpt"))]
    cure = "Fetch the weights as well."
    shards = [name for name in files if re.search(r"-\d+-of-\d+\.", name)]
    if shards:
        whole = re.sub(r"-\d+-of-\d+\.", ".", shards[0])
        cure = f"Shards such as {shards[0]} need their index, {index_of(whole)}. Fetch that as well."
    elif files:
        cure = f"If {files[0]} has them, give that file itself: {folder / files[0]}."
    elif others:
        cure = f"{others[0]} is of another framework; fetch the weights for PyTorch."
    raise UnknownCheckpoint(
        f"{source} has a {CONFIG} but no weights: expected {' or '.join(WEIGHTS)}, whole or in shards. It holds "
        f"{', '.join(names[:12]) or 'nothing'}. {cure}"
    )


def shards_in(index: Path) -> list[str]:
    """The file names that a table of shards lists; they lie beside it and nowhere else."""
    table = read_json(index).get("weight_map")
    if not isinstance(table, dict) or not table:
        raise CorruptedCheckpoint(f"{index} lists no shards (no weight_map). Fetch it again.")
    names = sorted({str(name).removeprefix("./") for name in table.values()})
    for name in names:
        if Path(name).name != name or "\\" in name:
            raise CorruptedCheckpoint(
                f"{index} names the shard {name!r}, which is no file beside it. Shards lie in the folder of their "
                "index; correct the name there, or fetch both again."
            )
    return names


def _read_shards(folder: Path, index: str) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name in shards_in(folder / index):
        if not (folder / name).is_file():
            raise CheckpointMismatch(f"{folder} lacks the shard {name}, which {index} lists. Fetch it as well.")
        state |= read_tensors(folder / name)
    absent = [name for name in read_json(folder / index)["weight_map"] if name not in state]
    if absent:
        raise CheckpointMismatch(
            f"{folder}: {index} lists {grouped(absent)}, and no shard has it. The index and the shards are of two "
            "models or two downloads; fetch them together."
        )
    return state


def _read_preprocessor(folder: Path) -> tuple[dict[str, Any], str]:
    """Return what it says, and where that is written; nothing where there is none."""
    for name in PREPROCESSORS:
        if (folder / name).is_file():
            found = plain_values(read_json(folder / name))
            inner = found.get("feature_extractor")
            found = plain_values(inner) if isinstance(inner, dict) else found
            found = {setting: value for setting, value in found.items() if value is not None}
            if "do_normalize" in found or "sampling_rate" in found:
                return found, name
    return {}, ""


def _with_tokenizer(folder: Path | None) -> Path | None:
    return folder if folder and any((folder / name).is_file() for name in (VOCABULARY, PIECES)) else None


def write_hf(folder: Path, checkpoint: Checkpoint) -> list[str]:
    """Write a folder that transformers loads; returns the heads that no published class has a place for."""
    layout = LAYOUTS[checkpoint.family]
    tables = head_maps_of(layout)
    kind = next((kind for kind in tables if kind in checkpoint.heads and _fits(checkpoint, kind)), None)
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
        write_json(draft / PREPROCESSORS[0], _preprocessor(checkpoint))
        if kind == "ctc":
            write_tokenizer(draft, checkpoint.heads["ctc"])
        if checkpoint.languages is not None:
            checkpoint.languages.write(draft, adapter_of(checkpoint))
        write_own_heads(draft, others)
    return describe(checkpoint, heads=others, epsilon=TRANSFORMERS_EPSILON)


def _fits(checkpoint: Checkpoint, kind: str) -> bool:
    """Return whether there is a class for this head of this model."""
    layout = LAYOUTS[checkpoint.family]
    return layout.has(checkpoint.config, kind) and holds(head_maps_of(layout)[kind], checkpoint.heads[kind].tensors)


def _preprocessor(checkpoint: Checkpoint) -> dict[str, Any]:
    layout = LAYOUTS[checkpoint.family]
    carried = checkpoint.metadata.get("hf_preprocessor", {})
    kept = {"padding_value"} & carried.keys() if carried.get("feature_extractor_type") == layout.extractor else ()
    return {
        "feature_extractor_type": layout.extractor,
        **layout.preprocessor(checkpoint.config),
        **{name: carried[name] for name in kept},
    }
