"""Checkpoints of w2v-BERT 2.0 of fairseq and fairseq2 (seamless_communication): {'model': tensors}.

Sizes are deduced from the shapes of the tensors, see `deduce`.
"""

from collections.abc import Mapping
from typing import Any

from sonant.checkpoints.checkpoint import Checkpoint
from sonant.checkpoints.completeness import check
from sonant.checkpoints.deduce import deduce_w2v_bert2
from sonant.checkpoints.files import only_tensors
from sonant.checkpoints.name_maps.fairseq import FAIRSEQ_W2V_BERT2, FAIRSEQ_W2V_BERT2_CONTRAST
from sonant.checkpoints.name_maps.fairseq2 import FAIRSEQ2_W2V_BERT2, FAIRSEQ2_W2V_BERT2_CONTRAST
from sonant.checkpoints.parameter_names import make_heads, read

# A tensor that identifies each format.
NAMINGS = {
    ".rel_k_embedding.weight": ("fairseq", FAIRSEQ_W2V_BERT2, FAIRSEQ_W2V_BERT2_CONTRAST),
    ".sdpa.rel_k_embed.weight": ("fairseq2", FAIRSEQ2_W2V_BERT2, FAIRSEQ2_W2V_BERT2_CONTRAST),
}


def is_w2v_bert2(state: Mapping[Any, Any]) -> bool:
    """Return whether `read_w2v_bert2` reads an unpickled dict."""
    tensors = state.get("model")
    return isinstance(tensors, Mapping) and any(str(name).endswith(tuple(NAMINGS)) for name in tensors)


def read_w2v_bert2(
    state: Mapping[Any, Any], source: object, *, overrides: Mapping[str, Any] | None = None
) -> Checkpoint:
    """Return a checkpoint from an unpickled dict."""
    tensors = only_tensors(state["model"], source)
    ending = next(ending for ending in NAMINGS if any(name.endswith(ending) for name in tensors))
    made_by, rows, head = NAMINGS[ending]
    translated = read(tensors, rows, {"pretraining": head})
    config = deduce_w2v_bert2(translated.backbone, family="w2v_bert2", source=source, overrides=overrides)
    check(translated, config, source=source, rows=rows, heads={"pretraining": head})
    metadata = {
        "config_from": "the shapes of the tensors",
        "normalize_from": "the family, which normalizes its mel energies",
    }
    return Checkpoint(config, translated.backbone, make_heads(translated, {}), made_by, metadata)
