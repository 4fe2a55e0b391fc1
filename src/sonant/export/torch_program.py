"""Writes a backbone as a program of `torch.export`, which runs without this package."""

import json
import os
from collections.abc import Collection
from pathlib import Path

import torch

from sonant.export.check import compare
from sonant.export.program import Exported, facts_of, staged, trace
from sonant.inference.padded.backbones import padded
from sonant.models import Backbone

FACTS = "facts.json"  # the name of the extra file that holds them


def to_torch(
    backbone: Backbone,
    path: str | os.PathLike[str],
    *,
    layers: Collection[int | str] | None = ("last",),
    normalize: bool = True,
    overwrite: bool = False,
) -> Exported:
    """Write a backbone as a .pt2 file, read it back and run it beside the model.

    `torch.export.load(path).module()(waveforms, lengths)` gives what `PaddedBackbone.forward` says, without sonant.

    Args:
        layers: the states to give: numbers 0 to num_layers, or "last"; None gives all.
        normalize: whether the graph normalizes waveforms, for a model that requires it.
        overwrite: replace the file if it exists.

    Raises:
        ExportError: the graph does not compute what the model does; nothing was written.
    """
    model = padded(backbone, layers=layers, normalize=normalize)
    facts = facts_of(backbone, model)
    with staged(path, overwrite=overwrite) as staging:
        torch.export.save(trace(model), staging, extra_files={FACTS: json.dumps(facts)})
        agreement = compare(torch.export.load(staging).module(), backbone, normalize=normalize)
        agreement.demand(int8=False)
        size = staging.stat().st_size
    target = Path(path).expanduser()
    return Exported(target, (target,), size, "torch", False, model.outputs, facts, agreement)
