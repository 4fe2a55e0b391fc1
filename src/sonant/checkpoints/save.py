"""Saving of checkpoints in the formats of sonant and other toolkits."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sonant.checkpoints.checkpoint import Checkpoint, CheckpointFormat, Head, shapes_of
from sonant.checkpoints.fairseq_writer import write_fairseq, write_unilm
from sonant.checkpoints.families import FORMATS, LAYOUTS
from sonant.checkpoints.hf import write_hf
from sonant.checkpoints.languages import Languages
from sonant.checkpoints.sonant_folder import INT8_GROUPS, PRESETS, write_sonant_folder
from sonant.checkpoints.torchaudio import write_torchaudio
from sonant.data.files import as_path
from sonant.errors import ConfigurationError, ModelWarning, UnknownName, warn
from sonant.models import Backbone, BackboneConfig

Writer = Callable[[Path, Checkpoint], list[str]]

WRITERS: dict[CheckpointFormat, Writer] = {
    "hf": write_hf,
    "sonant": write_sonant_folder,
    "unilm": write_unilm,
    "fairseq": write_fairseq,
    "torchaudio": write_torchaudio,
}
FOLDERS = ("hf", "sonant")


@dataclass(frozen=True)
class Saved:
    """A saved checkpoint.

    Attributes:
        path: file or folder.
        aside: extra data, which the format cannot hold; stored where other toolkits ignore it and sonant reads it.
    """

    path: Path
    aside: tuple[str, ...]


def save_checkpoint(destination: str | os.PathLike[str], checkpoint: Checkpoint, *, to: CheckpointFormat) -> Saved:
    """Write a checkpoint: a folder for "hf" and "sonant", a file for the others. Every tensor keeps its type and bits.

    An existing file is replaced atomically; a model in a folder as in `replacing_model`.

    Raises:
        ConfigurationError: the format cannot hold this model, or `destination` is a file for a folder or vice versa.
        UnknownName: no such format.
    """
    if to not in WRITERS:
        raise UnknownName("format", to, WRITERS)
    family = checkpoint.family
    if to not in formats_of(family):
        raise ConfigurationError(
            f"The format {to} has no place for a {family}; it holds "
            f"{', '.join(key for key in FORMATS if to in formats_of(key))}. A {family} can be written as "
            f"{', '.join(formats_of(family))}."
        )
    if to not in FOLDERS and _has_adapters(checkpoint.config):
        raise ConfigurationError(
            f"The format {to} has no place for adapters, and this {family} has them. Write it as "
            f"{' or '.join(format_ for format_ in WRITERS if format_ in FOLDERS)}."
        )
    path = as_path(destination, "the place to save a model to").expanduser()
    if to in FOLDERS and path.is_file():
        raise ConfigurationError(f"{path} is a file, and the format {to} is a folder. Give the name of a folder.")
    if to not in FOLDERS and path.is_dir():
        raise ConfigurationError(
            f"{path} is a folder, and the format {to} is one file. Give a name such as {path / 'model.pt'}."
        )
    if to != "hf" and checkpoint.languages is not None and len(checkpoint.languages.known) > 1:
        warn(
            f"The format {to} holds one language. The adapters of the others are not written; write hf to keep those "
            "that are here.",
            ModelWarning,
        )
    return Saved(path, tuple(WRITERS[to](path, checkpoint)))


def formats_of(family: str) -> list[CheckpointFormat]:
    """Return the formats for writing a family, in the order of `WRITERS`."""
    formats = FORMATS[family]
    return [to for to in WRITERS if to in formats.others or to == "sonant" or (to == "hf" and formats.hf is not None)]


def _has_adapters(config: BackboneConfig) -> bool:
    return getattr(config, "attention_adapter_dim", None) is not None or getattr(config, "adapter_layers", 0) > 0


def save_pretrained(
    backbone: Backbone,
    folder: str | os.PathLike[str],
    *,
    dtype: torch.dtype | None = None,
    heads: Mapping[str, Head] | None = None,
    metadata: Mapping[str, Any] | None = None,
    languages: Languages | None = None,
) -> Saved:
    """Write a backbone and its heads as a folder, in transformers' layout if it supports the family, else in sonant's.

    Args:
        dtype: of the floating-point tensors in the file; None: unchanged.
        heads: by kind, see `Head`.
        metadata: as in `Checkpoint`; {"hf": {...}} adds settings to config.json.
        languages: as in `Checkpoint`; their adapters are written too, with the present weights of the current one.

    Raises:
        ConfigurationError: the model's modules or tensors are not those of its configuration.
    """

    def cast(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
            for name, tensor in tensors.items()
        }

    kept = {kind: Head(cast(head.tensors), head.metadata) for kind, head in (heads or {}).items()}
    notes = dict(metadata or {})
    if backbone.int8_groups != Backbone.int8_groups:
        notes[INT8_GROUPS] = list(backbone.int8_groups)
    if backbone.measured_presets:
        notes[PRESETS] = dict(backbone.measured_presets)
    config, state = _config_of(backbone), backbone.state_dict()
    _check(state, config)
    checkpoint = Checkpoint(config, cast(state), kept, metadata=notes, languages=languages)
    return save_checkpoint(folder, checkpoint, to="hf" if checkpoint.family in LAYOUTS else "sonant")


def _config_of(backbone: Backbone) -> BackboneConfig:
    """Return the configuration with the present number of layers; some may have been removed."""
    config = backbone.config
    if backbone.num_layers == config.num_layers or "num_layers" not in config.__dataclass_fields__:
        return config
    changed: BackboneConfig = replace(config, num_layers=backbone.num_layers)
    return changed


def _check(state: Mapping[str, Tensor], config: BackboneConfig) -> None:
    """Raise ConfigurationError unless the tensors are those of a model of this configuration."""
    expected = shapes_of(config)
    odd = sorted(name for name, tensor in state.items() if expected.get(name) != tuple(tensor.shape))
    missing = sorted(expected.keys() - state.keys())
    if odd or missing:
        named = ", ".join([*odd, *missing][:4])
        raise ConfigurationError(
            f"{len(odd)} tensors of this model have no place in a checkpoint of its family, and {len(missing)} are "
            f"missing ({named}). Merge adapters into the weights, and remove parametrizations and pruning, before the "
            "model is saved; or save state_dict() with torch.save."
        )
