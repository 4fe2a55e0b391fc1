"""Writes checkpoints of fairseq and unilm; settings are plain dicts, so that torch.load takes weights_only=True."""

from pathlib import Path
from typing import Any

from sonant.checkpoints.checkpoint import Checkpoint, own_storage
from sonant.checkpoints.completeness import holds
from sonant.checkpoints.extra_data import KEY, describe_extra, pack_extra
from sonant.checkpoints.fairseq import PREFIXES, fairseq_heads, rows_for
from sonant.checkpoints.fairseq_config import write_settings
from sonant.checkpoints.fairseq_wav2vec import write_wav2vec
from sonant.checkpoints.families import FORMATS, FairseqNames
from sonant.checkpoints.files import write_pickle
from sonant.checkpoints.hf_config import codebooks
from sonant.checkpoints.parameter_names import write


def write_unilm(path: Path, checkpoint: Checkpoint) -> list[str]:
    """{'cfg', 'model'} as unilm's WavLM reads it; returns what it has no place for: every head."""
    settings = {**checkpoint.metadata.get("unilm", {}), **write_settings(checkpoint, toolkit="unilm")}
    state, _ = write(checkpoint.backbone_state, rows_for(checkpoint.config))
    write_pickle(
        path,
        {
            "cfg": settings | {"normalize": checkpoint.normalize},
            "model": own_storage(state),
            KEY: pack_extra(checkpoint, heads=checkpoint.heads),
        },
    )
    return describe_extra(checkpoint, heads=checkpoint.heads)


def write_fairseq(path: Path, checkpoint: Checkpoint) -> list[str]:
    """Write one file and return the names of what fairseq has no place for: some heads.

    A wav2vec or vq-wav2vec is laid out by `write_wav2vec`, and a model with a CTC head as a fine-tuned one. What
    fairseq keeps in dictionaries beside the file (vocabulary, labels) goes where those heads go, which fairseq does
    not look at.
    """
    names = FORMATS[checkpoint.family].fairseq
    if names is None:
        return write_wav2vec(path, checkpoint)
    tables = {
        kind: table
        for kind, table in fairseq_heads(checkpoint.family).items()
        if kind in checkpoint.heads and holds(table, checkpoint.heads[kind].tensors)
    }
    state, _ = write(checkpoint.backbone_state, rows_for(checkpoint.config))
    for kind, table in tables.items():
        state |= write(checkpoint.heads[kind].tensors, table.rows)[0]
    if "ctc" in tables:
        state = {f"{PREFIXES[1 if name.startswith('proj.') else 0]}{name}": tensor for name, tensor in state.items()}
    others = [kind for kind in checkpoint.heads if kind not in tables]
    write_pickle(
        path,
        {
            "args": None,
            "cfg": _settings(checkpoint, names, tuned="ctc" in tables),
            "model": own_storage(state),
            KEY: pack_extra(checkpoint, heads=others),
        },
    )
    return describe_extra(checkpoint, heads=others)


def _settings(checkpoint: Checkpoint, names: FairseqNames, *, tuned: bool) -> dict[str, Any]:
    """The settings that the file came with, if it came from fairseq, and ours over them."""
    family, carried = checkpoint.family, checkpoint.metadata.get("fairseq", {})
    model = {**carried.get("model", {}), "_name": family, **write_settings(checkpoint, toolkit="fairseq")}
    task = {
        **carried.get("task", {}),
        "_name": names.task,
        "normalize": checkpoint.normalize,
        "sample_rate": checkpoint.config.sampling_rate,
    }
    settings = {"model": model | _pretraining_settings(checkpoint), "task": task}
    if not tuned:
        return settings
    outer = {name: {**carried.get("tuned", {}).get(name, {}), "normalize": checkpoint.normalize} for name in settings}
    outer["model"] |= {"_name": names.ctc_model, "w2v_args": settings}
    outer["task"]["_name"] = "audio_finetuning"
    return outer


def _pretraining_settings(checkpoint: Checkpoint) -> dict[str, Any]:
    head = checkpoint.heads.get("pretraining")
    if head is None or not holds(fairseq_heads(checkpoint.family)["pretraining"], head.tensors):
        return {}
    settings: dict[str, Any] = {}
    if "projection.weight" in head.tensors:
        settings["final_dim"] = head.tensors["projection.weight"].shape[0]
    if "quantizer.codebook" in head.tensors:
        num_codebooks, codebook_size, width = codebooks(head)
        settings |= {
            "quantize_targets": True,
            "latent_groups": num_codebooks,
            "latent_vars": codebook_size,
            "latent_dim": width * num_codebooks,
        }
    return settings
