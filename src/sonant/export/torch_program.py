"""Export of a backbone to a program of `torch.export`."""

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from sonant.export.check import compare
from sonant.export.padded_head import ExportableHead, head_facts
from sonant.export.program import Exported, facts_of, staged, trace, traceable
from sonant.models import Backbone

FACTS = "facts.json"  # name of the extra file with the metadata


def to_torch(
    backbone: Backbone,
    path: str | os.PathLike[str],
    *,
    head: ExportableHead | None = None,
    notes: Mapping[str, Any] = MappingProxyType({}),
    layers: Collection[int | str] | None = ("last",),
    normalize: bool = True,
    overwrite: bool = False,
) -> Exported:
    """Write a backbone as a .pt2 file, read it back and compare it with the model.

    `torch.export.load(path).module()(waveforms, lengths)` returns the outputs of `PaddedBackbone.forward`, without
    sonant.

    Args:
        head: a CTC head or one for labels of whole clips (see `is_exportable`), whose "logits" the graph gives too.
        notes: of the head in its checkpoint, of which the file gets the labels.
        layers: the states to return: numbers 0 to num_layers, or "last"; None: all.
        normalize: whether the graph normalizes waveforms, for a model that requires it.
        overwrite: replace the file if it exists.

    Raises:
        ExportError: the graph does not agree with the model; nothing was written.
    """
    model = traceable(backbone, head, layers, normalize=normalize)
    facts = facts_of(backbone, model) | head_facts(notes)
    with staged(path, overwrite=overwrite) as staging:
        torch.export.save(trace(model), staging, extra_files={FACTS: json.dumps(facts)})
        agreement = compare(torch.export.load(staging).module(), backbone, head, normalize=normalize)
        agreement.demand(int8=False)
        size = staging.stat().st_size
    target = Path(path).expanduser()
    return Exported(target, (target,), size, "torch", False, model.outputs, facts, agreement)
