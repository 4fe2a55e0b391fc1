"""sonant's own folder for any family: config.json by sonant's names, model.safetensors, and a file of heads.

Folders of transformers have that file too, for heads without a class in transformers, which ignores it.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from sonant.checkpoints.checkpoint import Checkpoint, Head
from sonant.checkpoints.completeness import check
from sonant.checkpoints.configs import make_config, plain_settings
from sonant.checkpoints.extra_data import flat, unpack_extra
from sonant.checkpoints.families import head_maps
from sonant.checkpoints.files import read_json, read_safetensors, write_json, write_safetensors
from sonant.checkpoints.folder import CONFIG, EXTRA_HEADS, WEIGHTS, replacing_model
from sonant.checkpoints.parameter_names import Translated, make_heads
from sonant.errors import CorruptedCheckpoint, UnknownName
from sonant.models.backbone import LinearGroup
from sonant.models.families import FAMILIES, Pool, Preset, Task
from sonant.renamed_settings import present_settings

SONANT_TYPE = "sonant"  # the model type in config.json
# In config.json, also of transformers, which ignores them:
INT8_GROUPS = "sonant_int8_groups"
PRESETS = "sonant_presets"


def read_sonant_folder(
    folder: Path, config: Mapping[str, Any], state: dict[str, Tensor], overrides: Mapping[str, Any] | None
) -> Checkpoint:
    """Return a checkpoint from a folder of `write_sonant_folder`."""
    family, settings = config.get("family"), config.get("settings")
    if not isinstance(settings, dict):
        raise CorruptedCheckpoint(f"{folder / CONFIG} has no 'settings' of the model. Fetch it again.")
    if isinstance(family, str) and family in FAMILIES:
        kind = FAMILIES[family].config
        settings = present_settings(settings, kind.__name__)
        known = kind.__dataclass_fields__
        for name in settings:
            if name not in known:  # perhaps of a later version
                raise UnknownName(f"setting of {kind.__name__} in {folder / CONFIG}", name, known)
    ours = make_config(family, settings, overrides, source=folder / CONFIG)
    translated = Translated(backbone=state)
    known_heads = read_extra_heads(folder, translated)
    check(translated, ours, source=folder, rows=(), heads=head_maps(str(family)))
    metadata = {"config_from": CONFIG, "normalize_from": CONFIG} | own_notes(config, folder)
    return Checkpoint(ours, translated.backbone, make_heads(translated, known_heads), "sonant", metadata)


def write_sonant_folder(folder: Path, checkpoint: Checkpoint) -> list[str]:
    """Write a folder that sonant alone reads; there is no extra data."""
    settings = plain_settings(checkpoint.config)
    config = {"model_type": SONANT_TYPE, "family": checkpoint.family, "settings": settings}
    config |= own_settings(checkpoint)
    with replacing_model(folder) as draft:
        write_safetensors(draft / WEIGHTS[0], checkpoint.backbone_state, {"format": "pt"})
        write_json(draft / CONFIG, config)
        write_extra_heads(draft, checkpoint.heads)
    return []


def own_notes(config: Mapping[str, Any], source: object) -> dict[str, Any]:
    """Return a checkpoint's metadata with what config.json holds for sonant alone."""
    return _int8_note(config, source) | _presets_note(config, source)


def own_settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what config.json holds for sonant alone, from a checkpoint's metadata."""
    kept = checkpoint.metadata
    groups = {INT8_GROUPS: kept[INT8_GROUPS]} if INT8_GROUPS in kept else {}
    return groups | ({PRESETS: presets_as_json(kept[PRESETS])} if kept.get(PRESETS) else {})


def _presets_note(config: Mapping[str, Any], source: object) -> dict[str, Any]:
    """Return the measured presets as `Preset` by task."""
    noted = config.get(PRESETS)
    if noted is None:
        return {}
    try:
        found = {str(task): Preset(int(each["layer"]), each["pool"], str(each["why"])) for task, each in noted.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CorruptedCheckpoint(
            f"{source}: {CONFIG} says {PRESETS}={noted!r}; expected a layer, a pool and a why for each task. Measure "
            "them again with `sonant analyze --write-card`, or remove them."
        ) from error
    strange = [each for each in found if each not in get_args(Task)]
    strange += [str(each.pool) for each in found.values() if each.pool not in (None, *get_args(Pool))]
    if strange or any(each.layer < 0 for each in found.values()):
        raise CorruptedCheckpoint(
            f"{source}: {CONFIG} says {PRESETS}={noted!r}; expected layers from 0, and of "
            f"{', '.join(get_args(Task))} with a pool of {', '.join(get_args(Pool))} or null."
        )
    return {PRESETS: found}


def _int8_note(config: Mapping[str, Any], source: object) -> dict[str, Any]:
    """Return a checkpoint's metadata with the groups of linear layers that config.json allows in int8."""
    groups = config.get(INT8_GROUPS)
    if groups is None:
        return {}
    if not isinstance(groups, list) or not set(groups) <= set(get_args(LinearGroup)):
        raise CorruptedCheckpoint(
            f"{source}: {CONFIG} says {INT8_GROUPS}={groups!r}; expected a list of {get_args(LinearGroup)}."
        )
    return {INT8_GROUPS: groups}


def note_int8_groups(folder: Path, groups: Collection[LinearGroup]) -> None:
    """Write the groups of linear layers that may be computed in int8 into a folder of sonant or transformers."""
    write_json(folder / CONFIG, read_json(folder / CONFIG) | {INT8_GROUPS: list(groups)})


def note_presets(folder: Path, presets: Mapping[Task, Preset]) -> None:
    """Write measured presets into a folder of sonant or transformers."""
    write_json(folder / CONFIG, read_json(folder / CONFIG) | {PRESETS: presets_as_json(presets)})


def presets_as_json(presets: Mapping[Task, Preset]) -> dict[str, Any]:
    """Return presets as config.json has them."""
    return {task: asdict(preset) for task, preset in presets.items()}


def read_extra_heads(folder: Path, translated: Translated) -> dict[str, dict[str, Any]]:
    """Add the heads of the file beside the model, if any, and return their metadata."""
    if not (folder / EXTRA_HEADS).is_file():
        return {}
    tensors, notes = read_safetensors(folder / EXTRA_HEADS)
    try:
        metadata = {kind: json.loads(text) for kind, text in notes.items()}
    except ValueError as error:
        raise CorruptedCheckpoint(
            f"{folder / EXTRA_HEADS}: its notes are not JSON ({error}). Fetch it again."
        ) from error
    return unpack_extra({"tensors": tensors, "heads": metadata}, translated)


def write_extra_heads(folder: Path, heads: Mapping[str, Head]) -> None:
    """Write heads to a file beside the model, if there are any."""
    if heads:
        notes = {kind: json.dumps(head.metadata) for kind, head in heads.items()}
        write_safetensors(folder / EXTRA_HEADS, flat(heads), notes)
