"""Folders of peft: adapter_config.json and adapter_model.safetensors, merged into their base."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sonant.checkpoints.checkpoint import Checkpoint
from sonant.checkpoints.families import LAYOUTS
from sonant.checkpoints.files import kind_of, read_json, read_safetensors, read_tensors
from sonant.checkpoints.folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, CONFIG
from sonant.checkpoints.hf import read_hf
from sonant.checkpoints.hf_config import family_in
from sonant.checkpoints.hf_folder import HFFolder, read_weights
from sonant.checkpoints.hf_layouts import Layout
from sonant.checkpoints.lora import ROOT, merged, module_of, scaling_in, without_saved
from sonant.checkpoints.parameter_names import grouped, read
from sonant.checkpoints.unknown_parts import warn_of
from sonant.checkpoints.wrappers import unwrap
from sonant.errors import CheckpointMismatch, UnsupportedCheckpoint
from sonant.models.identity import digest_of

BASE = "base"  # in overrides: the base, in place of the one in adapter_config.json
BASE_PRINT = "base"  # in the metadata of the adapter's file: fingerprint of the base that it was trained on


def is_lora_folder(folder: Path) -> bool:
    """Return whether a folder holds an adapter of peft."""
    return (folder / ADAPTER_CONFIG).is_file() and _weights_in(folder) is not None


def _weights_in(folder: Path) -> Path | None:
    return next((folder / name for name in ADAPTER_WEIGHTS if (folder / name).is_file()), None)


def read_lora(folder: Path, base: Path, *, overrides: Mapping[str, Any] | None, source: object) -> Checkpoint:
    """Return the model in the folder `base` with the adapter in `folder` merged into it.

    Heads are those of the adapted class: trained with the adapter, or from the base. The configuration, preprocessor
    and tokenizer beside the adapter take precedence over those of the base.
    """
    if not (base / CONFIG).is_file():
        what = "is a LoRA itself" if is_lora_folder(base) else f"has no {CONFIG}"
        raise UnsupportedCheckpoint(
            f"{source} is a LoRA that adapts {base}, which {what}. sonant merges one LoRA into a model in the layout "
            f"of transformers. Name such a model: overrides={{{BASE!r}: 'owner/name or folder'}}; a LoRA on top of "
            "another is merged with peft: merge_and_unload() of each."
        )
    adapting = read_json(folder / ADAPTER_CONFIG)
    scaling = scaling_in(adapting, source)
    theirs = read_json(base / CONFIG)
    layout = LAYOUTS[family_in(theirs, base)]
    found = unwrap(read_weights(base, base), layout.rows, inner=(layout.prefix,), source=base, family=layout.model_type)
    tensors, _ = found.without(layout.prefix)
    _check_base(tensors, base, layout, folder, source)
    adapter, inside = _named_as(tensors, folder, layout, source)
    kept, left = _of_class(tensors, adapter, theirs, adapting, layout)
    state, absent = merged(kept, adapter, scaling, source)
    lost = [module for module in absent if module in inside]
    if lost:
        raise CheckpointMismatch(
            f"{source} adapts {grouped(lost)}, which {base} does not have. It was trained on another model; name that: "
            f"overrides={{{BASE!r}: 'owner/name or folder'}}."
        )
    warn_of([*left, *absent], source, "They belong to the base as it was before, or have no weights in it.")
    own = read_json(folder / CONFIG) if (folder / CONFIG).is_file() else {}  # that of the adapted class
    adapted_config = theirs | own | ({"architectures": [_class_in(adapting)]} if _class_in(adapting) else {})
    return read_hf(HFFolder(base, source, state, adapted_config, folder), overrides=overrides)


def base_print(state: Mapping[str, Tensor]) -> str:
    """Return a fingerprint of the tensors of a base under sonant's names, in any precision that holds them exactly."""
    return digest_of((), {name: tensor.float() for name, tensor in state.items()})


def _check_base(tensors: Mapping[str, Tensor], base: Path, layout: Layout, folder: Path, source: object) -> None:
    """Raise CheckpointMismatch if the file of an adapter has the fingerprint of another base; most have none."""
    path = _weights_in(folder)
    if path is None or kind_of(path) != "safetensors":
        return
    wanted = read_safetensors(path)[1].get(BASE_PRINT)
    if wanted is None:
        return
    there = base_print(read(tensors, layout.rows, {}).backbone)
    if there != wanted:
        raise CheckpointMismatch(
            f"{source} was trained on another model than {base}, or that has changed since: its weights have the "
            f"fingerprint {there}, and {wanted} is expected. Name the model that it was trained on: "
            f"overrides={{{BASE!r}: 'owner/name or folder'}}."
        )


def _named_as(
    tensors: Mapping[str, Tensor], folder: Path, layout: Layout, source: object
) -> tuple[dict[str, Tensor], set[str]]:
    """Return the adapter under the names of the base, and the names of the backbone's tensors and modules in it."""
    path = _weights_in(folder)
    read = {} if path is None else read_tensors(path)
    adapter = without_saved({name.removeprefix(ROOT): tensor for name, tensor in read.items()}, source)
    modules = dict.fromkeys(filter(None, map(module_of, adapter)))
    prefixes = dict.fromkeys(prefix for module in modules for prefix in _prefixes(module))

    def fitting(prefix: str) -> int:
        return sum(f"{m[len(prefix) :]}.weight" in tensors for m in modules if m.startswith(prefix))

    prefix = max(prefixes, key=fitting, default="")
    if not fitting(prefix):
        raise CheckpointMismatch(
            f"{source} adapts {grouped(modules) or 'nothing'}, and the base has no such weights. Either it was "
            "trained on another model, or the layer is under weight norm, which peft cannot merge either. If it is the "
            f"former, name the model: overrides={{{BASE!r}: 'owner/name or folder'}}."
        )
    outer = prefix.removesuffix(layout.prefix)
    roots = {row.foreign.partition(".")[0] for row in layout.rows}
    renamed, inside = {}, set()
    for name, tensor in adapter.items():
        within = name.startswith(prefix) and name[len(prefix) :].partition(".")[0] in roots
        short = name[len(prefix) :] if within else name.removeprefix(outer)
        renamed[short] = tensor
        inside |= {short, module_of(short) or short} if within else set()
    return renamed, inside


def _prefixes(module: str) -> list[str]:
    """Return every possible prefix before the backbone's name of a module, the shortest first."""
    parts = module.split(".")
    return ["".join(f"{part}." for part in parts[:number]) for number in range(len(parts))]


def _class_in(adapting: Mapping[str, Any]) -> str | None:
    mapping = adapting.get("auto_mapping")
    name = mapping.get("base_model_class") if isinstance(mapping, Mapping) else None
    return name if isinstance(name, str) else None


def _of_class(
    tensors: Mapping[str, Tensor],
    adapter: Mapping[str, Tensor],
    theirs: Mapping[str, Any],
    adapting: Mapping[str, Any],
    layout: Layout,
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the base's tensors without heads of other classes, and the names of the removed tensors."""
    name = _class_in(adapting)
    if name is None or name in (theirs.get("architectures") or ()):
        return dict(tensors), []
    roots = {row.foreign.partition(".")[0] for row in layout.rows}
    left = [tensor for tensor in tensors if tensor.partition(".")[0] not in roots and tensor not in adapter]
    return {tensor: value for tensor, value in tensors.items() if tensor not in left}, left
