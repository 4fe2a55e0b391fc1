"""Writers of checkpoints of fairseq and unilm; settings are plain dicts, for torch.load with weights_only=True."""

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
    """Write {'cfg', 'model'} for unilm's WavLM, and describe the extra data: every head."""
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
    """Write one file and describe the extra data: some heads, and vocabularies, which fairseq has in separate files.

    wav2vec and vq-wav2vec are written by `write_wav2vec`, a model with a CTC head as a fine-tuned one.
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
    """Return the settings of the source, if it was a file of fairseq, updated with the model's."""
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
