"""Data that another toolkit's format has no place for, kept in a part of the file that only sonant reads.

No conversion thus loses anything: torchaudio never keeps the mask embedding, unilm keeps no head, and only sonant keeps
every kind of head.
"""

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from sonant.checkpoints.checkpoint import Checkpoint, Head, own_storage
from sonant.checkpoints.name_maps.hf import HF_HEADS
from sonant.checkpoints.parameter_names import Translated
from sonant.models.normalization import ORIGINAL_EPSILON
from sonant.renamed_settings import present_settings

KEY = "sonant"  # of the corner
EPSILON = "normalize_epsilon"
FORMER_NAMES = {  # beginnings of the names of heads' tensors until version 0.1, and what they are now
    "quantizer.codevectors": "quantizer.codebook",
    "quantizer.weight_proj.": "quantizer.projections.0.",
    "project_q.": "target_projection.",
    "final_proj.": "projection.",
    "mlm_proj.": "code_head.",
    "label_proj.": "label_head.",
    "project_hid.": "hidden_projection.",
    "ctc_proj.": "ctc_head.",
    "speaker_proj.": "speaker_projection.",
    "project_to_steps.": "steps.",
    "tdnn.": "time_delay.",
}


def flat(heads: Mapping[str, Head]) -> dict[str, Tensor]:
    """The tensors of several heads in one dict: "kind/name"."""
    return {f"{kind}/{name}": tensor for kind, head in heads.items() for name, tensor in head.tensors.items()}


def pack_extra(checkpoint: Checkpoint, *, heads: Collection[str], backbone: Collection[str] = ()) -> dict[str, Any]:
    """Notes on all heads, the tensors of `heads`, the backbone's tensors of these names, and a setting."""
    tensors = flat({kind: checkpoint.heads[kind] for kind in heads})
    tensors |= {name: checkpoint.backbone_state[name] for name in backbone}
    return {
        "heads": {kind: head.metadata for kind, head in checkpoint.heads.items()},
        "tensors": own_storage(tensors),
        "settings": {EPSILON: checkpoint.config.normalize_epsilon},
    }


def extra_settings(notes: Any) -> dict[str, Any]:
    """Return the backbone's settings among sonant's notes, which override the values built into the toolkit."""
    found = notes.get("settings") if isinstance(notes, Mapping) else None
    return {EPSILON: found[EPSILON]} if isinstance(found, Mapping) and EPSILON in found else {}


def unpack_extra(notes: Any, translated: Translated) -> dict[str, dict[str, Any]]:
    """Add the tensors of the corner to those of the file, and return the notes on the heads.

    A pretraining head there may be that of any objective.
    """
    notes = notes if isinstance(notes, Mapping) else {}
    tensors, heads = notes.get("tensors"), notes.get("heads")
    for name, tensor in tensors.items() if isinstance(tensors, Mapping) else ():
        kind, _, inner = str(name).rpartition("/")
        if not isinstance(tensor, Tensor) or (kind and kind not in HF_HEADS):
            translated.unknown.append(f"{KEY}: {name}")
        elif kind:
            translated.heads.setdefault(kind, {})[present_name(inner)] = tensor
            translated.own |= {kind} & {"pretraining"}
        else:
            translated.backbone.setdefault(str(name), tensor)
    known = heads if isinstance(heads, Mapping) else {}
    return {str(kind): present_settings(note, str(kind)) for kind, note in known.items() if isinstance(note, Mapping)}


def present_name(name: str) -> str:
    """Our present name of a tensor of a head, which files of earlier versions call as another toolkit does."""
    former = next((former for former in FORMER_NAMES if name.startswith(former)), "")
    return FORMER_NAMES.get(former, "") + name.removeprefix(former)


def describe_extra(
    checkpoint: Checkpoint, *, heads: Collection[str], backbone: Collection[str] = (), epsilon: float = ORIGINAL_EPSILON
) -> list[str]:
    """Return what went aside, in words; `epsilon` is what the toolkit's own code adds to the variance of a waveform."""
    words = [*backbone, *(f"the head {kind!r}" for kind in checkpoint.heads if kind in heads)]
    ours = checkpoint.config.normalize_epsilon
    if checkpoint.normalize and ours != epsilon:
        words.append(f"{EPSILON}={ours:g} (its own code adds {epsilon:g})")
    return words
