"""Conversion of a checkpoint to another format, with a check that it is lossless."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sonant.checkpoints.checkpoint import Checkpoint, CheckpointFormat, differing
from sonant.checkpoints.configs import plain_settings
from sonant.checkpoints.extra_data import flat
from sonant.checkpoints.load import load_checkpoint, make_backbone
from sonant.checkpoints.save import save_checkpoint
from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed

CLIP_SECONDS = (0.1, 0.5, 1.0, 2.0)
SEED = 0


@dataclass(frozen=True)
class Conversion:
    """The result of a conversion, and its comparison with the source after being read back.

    Attributes:
        source, destination: the checkpoints read and written.
        source_format, format: their formats.
        family: its key in `FAMILIES`.
        num_parameters: of the backbone.
        dtypes: of the backbone's tensors.
        heads: kinds of heads.
        normalize: whether waveforms are normalized; normalize_from: the source of that setting.
        normalize_epsilon: the constant added to the variance of waveforms.
        aside: parts that the new format cannot hold and only sonant reads.
        num_tensors: number of compared tensors, of backbone and heads.
        changed_tensors: names of tensors that are not bitwise equal.
        changed_settings: settings that differ, as "name: before, after".
        clip_seconds: durations of the noise for comparing outputs.
        output_difference: largest difference of any hidden state.
    """

    source: str
    destination: str
    source_format: str
    format: str
    family: str
    num_parameters: int
    dtypes: tuple[str, ...]
    heads: tuple[str, ...]
    normalize: bool
    normalize_epsilon: float
    normalize_from: str
    aside: tuple[str, ...]
    num_tensors: int
    changed_tensors: tuple[str, ...]
    changed_settings: tuple[str, ...]
    clip_seconds: tuple[float, ...]
    output_difference: float

    @property
    def faithful(self) -> bool:
        """Return whether tensors, settings and outputs are equal."""
        return not self.changed_tensors and not self.changed_settings and self.output_difference == 0


def convert_checkpoint(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    to: CheckpointFormat,
    revision: str | None = None,
    local_files_only: bool = False,
    overrides: Mapping[str, Any] | None = None,
    language: str | None = None,
    overwrite: bool = False,
) -> Conversion:
    """Write `source` as `destination`, read it back, and compare tensors (bitwise), settings and outputs.

    The arguments are those of `load_checkpoint` and `save_checkpoint`.

    Raises:
        ConfigurationError: the destination exists without `overwrite`, or the format cannot hold the model.
    """
    path = Path(destination).expanduser()
    if path.exists() and not overwrite and not (path.is_dir() and not any(path.iterdir())):
        raise ConfigurationError(f"{path} exists. Choose another name, or allow it to be replaced with overwrite.")
    before = load_checkpoint(
        source, revision=revision, local_files_only=local_files_only, overrides=overrides, language=language
    )
    saved = save_checkpoint(path, before, to=to)
    after = load_checkpoint(path)
    tensors = _all_tensors(before)
    ours, theirs = plain_settings(before.config), plain_settings(after.config)
    return Conversion(
        source=os.fspath(source),
        destination=str(path),
        source_format=before.format,
        format=to,
        family=before.family,
        num_parameters=sum(tensor.numel() for tensor in before.backbone_state.values()),
        dtypes=tuple(sorted({str(tensor.dtype).partition(".")[2] for tensor in before.backbone_state.values()})),
        heads=tuple(before.heads),
        normalize=before.normalize,
        normalize_epsilon=before.config.normalize_epsilon,
        normalize_from=str(before.metadata.get("normalize_from", "its configuration")),
        aside=saved.aside,
        num_tensors=len(tensors),
        changed_tensors=tuple(differing(tensors, _all_tensors(after))),
        changed_settings=tuple(
            f"{name}: {ours.get(name)}, {theirs.get(name)}"
            for name in ours | theirs
            if ours.get(name) != theirs.get(name)
        ),
        clip_seconds=CLIP_SECONDS,
        output_difference=_output_difference(before, after),
    )


def _all_tensors(checkpoint: Checkpoint) -> dict[str, Tensor]:
    return {**checkpoint.backbone_state, **flat(checkpoint.heads)}


def _output_difference(before: Checkpoint, after: Checkpoint) -> float:
    """Return the largest difference between hidden states for the same noise."""
    one, other = _states(before), _states(after)
    if one.keys() != other.keys() or any(one[name].shape != other[name].shape for name in one):
        return float("inf")
    differences = [(one[name] - other[name]).abs().max() for name in one]
    return float(torch.stack(differences).max().nan_to_num(nan=float("inf")))


@torch.inference_mode()
def _states(checkpoint: Checkpoint) -> dict[int | str, Tensor]:
    """Return every hidden state of seeded noise, in float32; only one model is in memory at a time."""
    backbone = make_backbone(checkpoint)
    generator = torch.Generator().manual_seed(SEED)
    least, rate = backbone.receptive_field, backbone.sampling_rate
    clips = [torch.randn(max(least, round(rate * seconds)), generator=generator) * 0.1 for seconds in CLIP_SECONDS]
    encoded = backbone(Packed.pack(clips))
    states: dict[int | str, Tensor] = dict(encoded.hidden_states)
    return states if encoded.last is None else states | {"last": encoded.last}
