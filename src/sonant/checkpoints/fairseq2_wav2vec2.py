"""wav2vec 2.0 as fairseq2 keeps it: omniASR, and what fairseq2's own recipes train.

Such a file is {'model': tensors}, or the tensors alone; it says nothing of its sizes, which their shapes tell, see
`deduce`. The order of the norms is told by where the last one lies: behind the encoder, or before its first layer.

An omniASR that writes with a language model ("LLM-ASR") is a wav2vec 2.0 whose states a Llama decoder reads. The
encoder is read, and the decoder left aside with a warning.

Sources: fairseq2 `models/wav2vec2` (factory, frontend, model) and `models/wav2vec2/asr`; omnilingual-asr
`models/wav2vec2_llama/factory.py`.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sonant.checkpoints.checkpoint import Checkpoint
from sonant.checkpoints.deduce import deduce_config
from sonant.checkpoints.fairseq2_tokenizer import tokenizer_metadata
from sonant.checkpoints.files import only_tensors
from sonant.checkpoints.keys import HeadTable, check, make_heads, read
from sonant.checkpoints.tables import FAIRSEQ2_CONTRAST, FAIRSEQ2_CTC, FAIRSEQ2_WAV2VEC2
from sonant.errors import CheckpointMismatch, ModelWarning, warn

FRONT = "encoder_frontend.feature_extractor."
PARALLEL = "module."  # which torch puts before every name in training on several devices
DECODER = ("llama_decoder.", "text_frontend.", "lang_embeddings.", "encoder_proj.", "final_proj.")
COUNTER = "quantizer.num_updates"  # of the schedule of temperatures; no part of the model


def is_wav2vec2(state: Mapping[Any, Any]) -> bool:
    """Return whether an unpickled dict is of the kind that `read_wav2vec2` reads."""
    tensors = _tensors(state)
    return isinstance(tensors, Mapping) and any(str(name).removeprefix(PARALLEL).startswith(FRONT) for name in tensors)


def read_wav2vec2(
    state: Mapping[Any, Any], source: object, *, overrides: Mapping[str, Any] | None = None
) -> Checkpoint:
    """Return a checkpoint from what the unpickler made of the file.

    A CTC head has the vocabulary of the sentencepiece model beside the file, see `tokenizer_metadata`.
    """
    tensors = {
        name.removeprefix(PARALLEL): tensor
        for name, tensor in only_tensors(_tensors(state), source).items()
        if name.removeprefix(PARALLEL) != COUNTER
    }
    tensors = _without_decoder(tensors, source)
    heads = _heads(tensors)
    translated = read(tensors, FAIRSEQ2_WAV2VEC2, heads)
    pre_norm = not any(name.startswith("encoder_frontend.layer_norm.") for name in tensors)
    config = deduce_config(
        translated.backbone, family="wav2vec2", source=source, overrides={"pre_norm": pre_norm} | dict(overrides or {})
    )
    check(translated, config, source=source, rows=FAIRSEQ2_WAV2VEC2, heads=heads)
    found = {kind: head["weight"] for kind, head in translated.heads.items() if kind == "ctc"}
    known = {kind: tokenizer_metadata(source, len(weight)) for kind, weight in found.items()}
    if "pretraining" in translated.heads:
        known["pretraining"] = {"groups": _groups(translated.heads["pretraining"], source)}
    metadata = {
        "config_from": "the shapes of the tensors",
        "normalize_from": "the extractor's norm, as in the published models",
    }
    return Checkpoint(config, translated.backbone, make_heads(translated, known), "fairseq2", metadata)


def _tensors(state: Mapping[Any, Any]) -> Any:
    return state["model"] if isinstance(state.get("model"), Mapping) else state


def _heads(tensors: Mapping[str, Tensor]) -> dict[str, HeadTable]:
    """Return the head that `final_proj` belongs to: with a quantiser it is that of pretraining."""
    if any(name.startswith(("quantizer.", "final_target_proj.")) for name in tensors):
        return {"pretraining": FAIRSEQ2_CONTRAST}
    return {"ctc": FAIRSEQ2_CTC}


def _without_decoder(tensors: dict[str, Tensor], source: object) -> dict[str, Tensor]:
    """Return the tensors of the encoder of a model that writes with a language model, and warn."""
    if not any(name.startswith(DECODER[0]) for name in tensors):
        return tensors
    aside = [name for name in tensors if name.startswith(DECODER)]
    parts = Counter(name.partition(".")[0] for name in aside)
    told = ", ".join(f"{part} ({count} tensors)" for part, count in parts.items())
    warn(
        f"{source} is a wav2vec 2.0 whose states a language model turns into text (LLM-ASR). sonant has the encoder "
        f"only: its vectors can be had, and no transcripts. Left aside: {told}. For transcripts take the "
        "model of the same size with a CTC head (omniASR_CTC_...).",
        ModelWarning,
    )
    return {name: tensor for name, tensor in tensors.items() if name not in aside}


def _groups(head: Mapping[str, Tensor], source: object) -> int:
    """Return how many codebooks a quantiser has: its output is one entry of each, side by side."""
    entries, outputs = head["quantizer.codevectors"], head["project_q.weight"]
    if entries.ndim != 3 or outputs.ndim != 2 or not entries.shape[2] or outputs.shape[1] % entries.shape[2]:
        raise CheckpointMismatch(
            f"{source}: quantizer.entries is {tuple(entries.shape)} and final_target_proj.weight "
            f"{tuple(outputs.shape)}; expected (1, entries, width) and (outputs, codebooks times width)."
        )
    return outputs.shape[1] // entries.shape[2]
