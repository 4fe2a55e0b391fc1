"""State dicts of torchaudio's Wav2Vec2Model and HuBERTPretrainModel.

They have no configuration, which is deduced, see `deduce`. Files that sonant writes have it in the state dict's
`_metadata`, which torch ignores.
"""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sonant.checkpoints.checkpoint import Checkpoint, own_storage
from sonant.checkpoints.completeness import holds
from sonant.checkpoints.configs import make_config, plain_settings
from sonant.checkpoints.deduce import deduce_config
from sonant.checkpoints.extra_data import KEY, describe_extra, pack_extra, unpack_extra
from sonant.checkpoints.fairseq_config import refuse_inexpressible
from sonant.checkpoints.families import head_maps
from sonant.checkpoints.files import write_pickle
from sonant.checkpoints.name_maps.torchaudio import (
    TORCHAUDIO_ATTENTION,
    TORCHAUDIO_COMMON,
    TORCHAUDIO_CTC,
    TORCHAUDIO_MASK,
    TORCHAUDIO_PREDICTION,
    TORCHAUDIO_WAVLM_ATTENTION,
)
from sonant.checkpoints.parameter_names import HeadMap, NameMap, write
from sonant.checkpoints.reading import FROM_NORM, FROM_SHAPES, translate
from sonant.checkpoints.wrappers import split_overrides, unwrap
from sonant.models.families import family_of

HEADS: dict[str, HeadMap] = {"ctc": TORCHAUDIO_CTC, "pretraining": TORCHAUDIO_PREDICTION}
INNER = "wav2vec2."  # the backbone inside HuBERTPretrainModel


def is_torchaudio(state: Mapping[Any, Any]) -> bool:
    """Return whether a state dict has torchaudio's names."""
    return any("encoder.transformer.layers." in str(name) for name in state)


def read_torchaudio(
    state: Mapping[str, Tensor], source: object, *, notes: Any = None, overrides: Mapping[str, Any] | None = None
) -> Checkpoint:
    """Return a checkpoint from a flat state dict; `notes`: its `_metadata`, if any."""
    wanted, overrides = split_overrides(overrides)
    both = (*rows_for("hubert", mask=True), *rows_for("wavlm", mask=True))
    place = unwrap(state, both, inner=(INNER,), source=source, family="model of torchaudio", wanted=wanted)
    names = {name.removeprefix(INNER): tensor for name, tensor in place.tensors.items()}
    wavlm = any(name.endswith(".gru_rel_pos_const") for name in names)
    rows = rows_for("wavlm" if wavlm else "hubert", mask=True)
    reading = translate(place, names, rows, HEADS, source=source)
    known = _notes(notes)
    if known:
        config = make_config(known.get("family"), known["config"], overrides, source=source)
        found = "notes of sonant in the file"
    else:
        family = "wavlm" if wavlm else "hubert" if "pretraining" in reading.heads else "wav2vec2"
        config = deduce_config(reading.backbone, family=family, source=source, overrides=overrides)
        found = FROM_SHAPES
    tables = head_maps(family_of(config).key) | {kind: HEADS[kind] for kind in reading.heads}
    head_notes = unpack_extra(known, reading.translated) or {"ctc": {"blank": 0}}
    metadata = {"config_from": found, "normalize_from": found if known else FROM_NORM}
    return reading.checkpoint(config, made_by="torchaudio", heads=tables, known=head_notes, metadata=metadata)


def _notes(notes: Any) -> dict[str, Any]:
    found = notes.get(KEY) if isinstance(notes, Mapping) else None
    return dict(found) if isinstance(found, Mapping) and isinstance(found.get("config"), Mapping) else {}


def rows_for(family: str, *, mask: bool) -> NameMap:
    """Return the parameter-name map of a family; `mask`: with the mask embedding of HuBERTPretrainModel."""
    attention = TORCHAUDIO_WAVLM_ATTENTION if family == "wavlm" else TORCHAUDIO_ATTENTION
    return (*TORCHAUDIO_COMMON, *attention, *(TORCHAUDIO_MASK if mask else ()))


def write_torchaudio(path: Path, checkpoint: Checkpoint) -> list[str]:
    """Write a state dict, and describe the extra data: in most cases the mask embedding."""
    refuse_inexpressible(checkpoint.config, "torchaudio")
    pretraining = checkpoint.heads.get("pretraining")
    whole = (
        checkpoint.family == "hubert"
        and pretraining is not None
        and "ctc" not in checkpoint.heads
        and holds(TORCHAUDIO_PREDICTION, pretraining.tensors)
        and "mask_embedding" in checkpoint.backbone_state
    )
    kinds = ["pretraining"] if whole else ["ctc"] if "ctc" in checkpoint.heads else []
    state, dropped = write(checkpoint.backbone_state, rows_for(checkpoint.family, mask=whole))
    if whole:
        state = {name if name.startswith("mask_generator.") else INNER + name: tensor for name, tensor in state.items()}
    for kind in kinds:
        state |= write(checkpoint.heads[kind].tensors, HEADS[kind].rows)[0]
    ordered = OrderedDict(own_storage(state))
    others = [kind for kind in checkpoint.heads if kind not in kinds]
    notes = pack_extra(checkpoint, heads=others, backbone=dropped)
    # torch has entries by module name in `_metadata`, and ignores others.
    settings = {"family": checkpoint.family, "config": plain_settings(checkpoint.config)}
    vars(ordered)["_metadata"] = {KEY: settings | notes}
    write_pickle(path, ordered)
    return describe_extra(checkpoint, heads=others, backbone=dropped)
