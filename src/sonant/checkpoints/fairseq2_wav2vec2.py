"""Checkpoints of fairseq2's wav2vec 2.0: omniASR, and models trained by fairseq2's recipes.

A file is {'model': tensors}, or the tensors alone. Sizes are deduced from the shapes, see `deduce`; the order of norms
from the place of the last norm: after the encoder, or before its first layer.

An omniASR with a language model ("LLM-ASR") is a wav2vec 2.0 with a Llama decoder; the encoder is loaded, and a warning
names the ignored decoder.

Sources: fairseq2 `models/wav2vec2` (factory, frontend, model) and `models/wav2vec2/asr`; omnilingual-asr
`models/wav2vec2_llama/factory.py`.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sonant.checkpoints.checkpoint import Checkpoint
from sonant.checkpoints.deduce import deduce_config
from sonant.checkpoints.fairseq2_tokenizer import tokenizer_metadata
from sonant.checkpoints.name_maps.fairseq2 import FAIRSEQ2_CONTRAST, FAIRSEQ2_CTC, FAIRSEQ2_WAV2VEC2
from sonant.checkpoints.parameter_names import HeadMap
from sonant.checkpoints.reading import FROM_NORM, FROM_SHAPES, translate
from sonant.checkpoints.wrappers import split_overrides, unwrap
from sonant.errors import CheckpointMismatch, UnsupportedCheckpoint

FRONT = "encoder_frontend.feature_extractor."
DECODER = "llama_decoder."
COUNTER = "quantizer.num_updates"  # of the temperature schedule; not part of the model
NO_TEXT = (
    "They are a language model that turns the states of the encoder into text (LLM-ASR), which sonant does not run; "
    "for transcripts take the model of the same size with a CTC head (omniASR_CTC_...)."
)


def is_wav2vec2(tensors: Mapping[str, Tensor]) -> bool:
    """Return whether `read_wav2vec2` reads tensors of these names, behind any prefix."""
    return any(FRONT in name for name in tensors)


def read_wav2vec2(
    tensors: Mapping[str, Tensor], source: object, *, overrides: Mapping[str, Any] | None = None
) -> Checkpoint:
    """Return a checkpoint from the tensors of a file.

    The vocabulary of a CTC head is that of the sentencepiece model beside the file, see `tokenizer_metadata`.
    """
    wanted, given = split_overrides(overrides)
    rows = FAIRSEQ2_WAV2VEC2
    found = unwrap(tensors, rows, inner=(), source=source, family="wav2vec 2.0 of fairseq2", wanted=wanted)
    state = {name: tensor for name, tensor in found.tensors.items() if name != COUNTER}
    _check_whole(state, source)
    writes = any(name.startswith(DECODER) for name in state)
    heads = {} if writes else _heads(state)
    reading = translate(found, state, rows, heads, source=source)
    pre_norm = not any(name.startswith("encoder_frontend.layer_norm.") for name in state)
    config = deduce_config(
        reading.backbone, family="wav2vec2", source=source, overrides={"pre_norm": pre_norm, **given}
    )
    known: dict[str, dict[str, object]] = {}
    if "ctc" in reading.heads:
        known["ctc"] = tokenizer_metadata(source, len(reading.heads["ctc"]["weight"]))
    if "pretraining" in reading.heads:
        known["pretraining"] = {"num_codebooks": _groups(reading.heads["pretraining"], source)}
    return reading.checkpoint(
        config,
        made_by="fairseq2",
        heads=heads,
        known=known,
        metadata={"config_from": FROM_SHAPES, "normalize_from": FROM_NORM},
        reason=NO_TEXT if writes else "",
    )


def _check_whole(state: Mapping[str, Tensor], source: object) -> None:
    """Raise UnsupportedCheckpoint for a shard of a training on several devices: tensors are cut along one axis."""
    query = state.get("encoder.layers.0.self_attn.q_proj.weight")
    if query is not None and query.ndim == 2 and query.shape[0] < query.shape[1]:
        raise UnsupportedCheckpoint(
            f"{source} holds {query.shape[0]} of {query.shape[1]} rows of its matrices: it is one of the parts that a "
            "training on several devices writes (sdp_00.pt, sdp_01.pt, or tp_00, tp_01). Load the model in fairseq2 "
            "and save its state_dict() whole."
        )


def _heads(state: Mapping[str, Tensor]) -> dict[str, HeadMap]:
    """Return the map of the head of `final_proj`: pretraining if there is a quantizer, else CTC."""
    if any(name.startswith(("quantizer.", "final_target_proj.")) for name in state):
        return {"pretraining": FAIRSEQ2_CONTRAST}
    return {"ctc": FAIRSEQ2_CTC}


def _groups(head: Mapping[str, Tensor], source: object) -> int:
    """Return the number of a quantizer's codebooks; its output concatenates one entry of each."""
    entries, outputs = head["quantizer.codebook"], head["target_projection.weight"]
    if entries.ndim != 3 or outputs.ndim != 2 or not entries.shape[2] or outputs.shape[1] % entries.shape[2]:
        raise CheckpointMismatch(
            f"{source}: quantizer.entries is {tuple(entries.shape)} and final_target_proj.weight "
            f"{tuple(outputs.shape)}; expected (1, entries, width) and (outputs, codebooks times width)."
        )
    return outputs.shape[1] // entries.shape[2]
