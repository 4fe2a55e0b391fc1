"""Extra data: what another toolkit's format cannot hold, stored in an entry of the file that only sonant reads.

Conversions are thus lossless. For example, torchaudio's format has no mask embedding, and unilm's has no heads.
"""

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from sonant.checkpoints.checkpoint import Checkpoint, Head, own_storage
from sonant.checkpoints.name_maps.hf import HF_HEADS
from sonant.checkpoints.parameter_names import Translated
from sonant.models.normalization import ORIGINAL_EPSILON
from sonant.renamed_settings import present_settings

KEY = "sonant"  # of the entry
EPSILON = "normalize_epsilon"
ECAPA = "ecapa."  # begins the names of the tensors of an x-vector head that is an ECAPA-TDNN
FORMER_NAMES = {  # prefixes of head tensors before version 0.1, and their present names
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
    """Return the tensors of several heads in one dict, named "kind/name"."""
    return {f"{kind}/{name}": tensor for kind, head in heads.items() for name, tensor in head.tensors.items()}


def pack_extra(checkpoint: Checkpoint, *, heads: Collection[str], backbone: Collection[str] = ()) -> dict[str, Any]:
    """Return the entry: metadata of all heads, tensors of `heads` and of the named `backbone` tensors, settings."""
    tensors = flat({kind: checkpoint.heads[kind] for kind in heads})
    tensors |= {name: checkpoint.backbone_state[name] for name in backbone}
    return {
        "heads": {kind: head.metadata for kind, head in checkpoint.heads.items()},
        "tensors": own_storage(tensors),
        "settings": {EPSILON: checkpoint.config.normalize_epsilon},
    }


def extra_settings(notes: Any) -> dict[str, Any]:
    """Return the backbone's settings in the entry, which override those that the toolkit implies."""
    found = notes.get("settings") if isinstance(notes, Mapping) else None
    return {EPSILON: found[EPSILON]} if isinstance(found, Mapping) and EPSILON in found else {}


OWN = ("pretraining", "seq2seq", "enhancement", "separation")  # heads whose tensors their own classes check


def unpack_extra(notes: Any, translated: Translated) -> dict[str, dict[str, Any]]:
    """Add the entry's tensors to those of the file, and return the metadata of the heads.

    A pretraining head in the entry may belong to any objective.
    """
    notes = notes if isinstance(notes, Mapping) else {}
    tensors, heads = notes.get("tensors"), notes.get("heads")
    for name, tensor in tensors.items() if isinstance(tensors, Mapping) else ():
        kind, _, inner = str(name).rpartition("/")
        if not isinstance(tensor, Tensor) or (kind and kind not in HF_HEADS):
            translated.unknown.append(f"{KEY}: {name}")
        elif kind:
            translated.heads.setdefault(kind, {})[present_name(inner)] = tensor
            if kind in OWN or inner.startswith(ECAPA):
                translated.own.add(kind)
        else:
            translated.backbone.setdefault(str(name), tensor)
    known = heads if isinstance(heads, Mapping) else {}
    return {str(kind): present_settings(note, str(kind)) for kind, note in known.items() if isinstance(note, Mapping)}


def present_name(name: str) -> str:
    """Return the present name of a head's tensor, given its present or former name."""
    former = next((former for former in FORMER_NAMES if name.startswith(former)), "")
    return FORMER_NAMES.get(former, "") + name.removeprefix(former)


def describe_extra(
    checkpoint: Checkpoint, *, heads: Collection[str], backbone: Collection[str] = (), epsilon: float = ORIGINAL_EPSILON
) -> list[str]:
    """Describe the extra data; `epsilon`: the toolkit's constant that is added to the variance of a waveform."""
    words = [*backbone, *(f"the head {kind!r}" for kind in checkpoint.heads if kind in heads)]
    ours = checkpoint.config.normalize_epsilon
    if checkpoint.normalize and ours != epsilon:
        words.append(f"{EPSILON}={ours:g} (its own code adds {epsilon:g})")
    return words
