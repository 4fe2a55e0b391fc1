"""Loading of checkpoints of any known format, recognized by content, not by name."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sonant.checkpoints.checkpoint import MASK, Checkpoint, meta_backbone
from sonant.checkpoints.configs import with_overrides
from sonant.checkpoints.fairseq import is_fairseq, read_fairseq
from sonant.checkpoints.fairseq2_w2v_bert2 import is_w2v_bert2, read_w2v_bert2
from sonant.checkpoints.fairseq2_wav2vec2 import is_wav2vec2, read_wav2vec2
from sonant.checkpoints.files import described, kind_of, read_json, read_safetensors
from sonant.checkpoints.folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, CONFIG, EXCHANGE
from sonant.checkpoints.hf import read_hf
from sonant.checkpoints.hf_config import is_known
from sonant.checkpoints.hf_folder import HFFolder
from sonant.checkpoints.location import Location, exists, locate, shipped
from sonant.checkpoints.lora import with_lora_merged
from sonant.checkpoints.lora_folder import BASE, is_lora_folder, read_lora
from sonant.checkpoints.sonant_folder import INT8_GROUPS, PRESETS
from sonant.checkpoints.state_dict import is_named_as_transformers, read_state_dict
from sonant.checkpoints.torch_files import read_pickle
from sonant.checkpoints.torchaudio import is_torchaudio, read_torchaudio
from sonant.checkpoints.wrappers import tensors_in
from sonant.errors import CheckpointUnavailable, ConfigurationError, CorruptedCheckpoint, UnknownCheckpoint, UnknownName
from sonant.models import Backbone
from sonant.models.filter_bank import FILTER_BANKS


def load_checkpoint(
    source: str | os.PathLike[str],
    *,
    revision: str | None = None,
    local_files_only: bool = False,
    overrides: Mapping[str, Any] | None = None,
    language: str | None = None,
) -> Checkpoint:
    """Read a checkpoint, of any toolkit, from a file, a folder or the hub.

    Tensors keep their type; those of large files stay on disk until they are used.

    Args:
        source: a shipped model; a folder of transformers; a file of unilm, fairseq, fairseq2, s3prl or torchaudio; or
            "owner/name" on the hub. A model of the catalog may be given without owner, unless a local file or folder
            has that name; so may the features of `FILTER_BANKS`, which have no weights.
        revision: branch, tag or commit on the hub.
        local_files_only: use the hub's cache, but not the network.
        overrides: settings that replace those of the file, by the names of sonant's configurations, and "family".
            Needed for files without a configuration whose sizes are not those of a published model. Further keys:
            {"tokenizer": SOURCE}, the vq-wav2vec of a Discrete BERT; {"prefix": "student"}, one of several models in a
            file; {"base": SOURCE}, the base of a LoRA.
        language: of a model with adapters by language (MMS), such as "fra" (target_lang in transformers); only its
            adapter is fetched. None: the one in the weights.

    Raises:
        CheckpointUnavailable: no such file, nor in the cache, nor on the hub.
        UnknownCheckpoint: unknown format.
        CorruptedCheckpoint: damaged or truncated.
        UnsupportedCheckpoint: a model with an unsupported part.
        UnsafeCheckpoint: a pickle that would run code.
        CheckpointMismatch: tensors are missing, left over or of the wrong shape.
        ConfigurationError: a file without a configuration needs `overrides`, or `revision` was given for a local file.
        UnknownName: a word that is no file, folder or model of the catalog; or an unknown language.
    """
    tokenizer = (overrides or {}).get("tokenizer")
    if isinstance(tokenizer, str | os.PathLike):
        overrides = {**(overrides or {}), "tokenizer": load_checkpoint(tokenizer, local_files_only=local_files_only)}
    if isinstance(source, str) and source in FILTER_BANKS and not Path(source).exists():
        return Checkpoint(with_overrides(FILTER_BANKS[source], overrides, source=source), {})
    place = locate(source, revision=revision, local_files_only=local_files_only)
    if place.path.is_dir():
        return _read_folder(place, overrides, language, local_files_only=local_files_only)
    if language is not None:
        raise ConfigurationError(
            f"language={language!r} was given for the file {source}; adapters by language lie in a folder beside "
            "the weights. Give that folder, or leave `language` out."
        )
    return _read_file(place.path, overrides)


def load_backbone(
    source: str | os.PathLike[str],
    *,
    revision: str | None = None,
    local_files_only: bool = False,
    overrides: Mapping[str, Any] | None = None,
    language: str | None = None,
    dtype: torch.dtype | None = torch.float32,
    device: str | torch.device = "cpu",
) -> Backbone:
    """Load the backbone of a checkpoint in evaluation mode; arguments as in `load_checkpoint`.

    Args:
        dtype, device: of the parameters; dtype=None keeps that of the file.
    """
    checkpoint = load_checkpoint(
        source, revision=revision, local_files_only=local_files_only, overrides=overrides, language=language
    )
    return make_backbone(checkpoint, dtype=dtype, device=device)


def make_backbone(
    checkpoint: Checkpoint, *, dtype: torch.dtype | None = torch.float32, device: str | torch.device = "cpu"
) -> Backbone:
    """Return the backbone of a checkpoint as a module in evaluation mode.

    A missing mask embedding is initialized as for training, from a fixed seed.
    """
    backbone, state = meta_backbone(checkpoint.config), dict(checkpoint.backbone_state)
    masks = backbone.state_dict().get(MASK)
    if masks is not None and MASK not in state:
        like = next(tensor for tensor in state.values() if tensor.is_floating_point())
        state[MASK] = torch.rand(masks.shape, generator=torch.Generator().manual_seed(0)).to(like.dtype)
    backbone.load_state_dict(state, assign=True)
    backbone.to(device=device, dtype=dtype)
    backbone.int8_groups = tuple(checkpoint.metadata.get(INT8_GROUPS, backbone.int8_groups))
    if PRESETS in checkpoint.metadata:
        backbone.measured_presets = checkpoint.metadata[PRESETS]
    return backbone.eval()


def _read_folder(
    place: Location, overrides: Mapping[str, Any] | None, language: str | None, *, local_files_only: bool
) -> Checkpoint:
    folder = place.path
    if is_lora_folder(folder):
        return _read_lora(place, overrides, local_files_only=local_files_only)
    if (folder / CONFIG).is_file():
        return read_hf(HFFolder(folder, place.source), overrides=overrides, language=language, get=place.get)
    for exchange in folder.glob(f"{EXCHANGE}*/before/{CONFIG}"):
        raise CorruptedCheckpoint(
            f"{folder} has no {CONFIG}: a save into it was stopped while it replaced the model there. Save once more, "
            f"or move the files of {exchange.parent} back into the folder."
        )
    held = ", ".join(sorted(entry.name for entry in folder.iterdir())[:12]) or "nothing"
    if (folder / ADAPTER_CONFIG).is_file():
        raise UnknownCheckpoint(
            f"{folder} has the {ADAPTER_CONFIG} of an adapter but no weights: expected {' or '.join(ADAPTER_WEIGHTS)}. "
            f"It holds {held}. Fetch the weights as well."
        )
    raise UnknownCheckpoint(
        f"{folder} is no folder of transformers: it has no {CONFIG}. It holds {held}. "
        "For a checkpoint of unilm, fairseq, fairseq2, torchaudio or s3prl give the file itself."
    )


def _read_lora(place: Location, overrides: Mapping[str, Any] | None, *, local_files_only: bool) -> Checkpoint:
    """Return a LoRA merged into its base, a local folder or a model on the hub."""
    source = place.source
    adapter_config, rest = read_json(place.path / ADAPTER_CONFIG), dict(overrides or {})
    base = rest.pop(BASE, None) or adapter_config.get("base_model_name_or_path")
    cure = f"Name the model: overrides={{{BASE!r}: 'owner/name or folder'}}."
    if not isinstance(base, str | os.PathLike) or not str(base).strip():
        raise CheckpointUnavailable(f"{source} is a LoRA and does not say which model it adapts. {cure}")
    revision = adapter_config.get("revision")
    here = exists(Path(base).expanduser()) or shipped(str(base)) is not None
    try:
        fixed = revision if isinstance(revision, str) and not here else None
        found = locate(base, revision=fixed, local_files_only=local_files_only)
    except (CheckpointUnavailable, UnknownName) as error:
        why = f"{source} is a LoRA that adapts {base}, which is no folder here."
        raise CheckpointUnavailable(f"{why} {error} {cure}") from error
    if not found.path.is_dir():
        raise CheckpointUnavailable(f"{source} is a LoRA that adapts {base}, which is a file. {cure}")
    return read_lora(place.path, found.path, overrides=rest, source=source)


def _read_file(path: Path, overrides: Mapping[str, Any] | None) -> Checkpoint:
    if kind_of(path) == "safetensors":
        return _read_tensors(path, read_safetensors(path)[0], overrides)
    state = read_pickle(path)
    what = described(state)
    if isinstance(state, list | tuple):  # (state dict, settings), for instance
        state = {str(number): item for number, item in enumerate(state)}
    if not isinstance(state, Mapping):
        raise UnknownCheckpoint(f"{path} holds {what}, not a checkpoint.")
    if not state:
        raise CorruptedCheckpoint(f"{path} holds an empty dict. The program that wrote it had no weights.")
    if is_w2v_bert2(state):
        return read_w2v_bert2(state, path, overrides=overrides)
    tensors = tensors_in(state)
    if is_fairseq(state) and not is_named_as_transformers(tensors):
        return read_fairseq(state, path, overrides=overrides)
    if not tensors:
        raise UnknownCheckpoint(f"{path} holds {what}, and no tensors in it that have names.")
    return _read_tensors(path, tensors, overrides, notes=getattr(state, "_metadata", None))


def _read_tensors(
    path: Path, tensors: dict[str, Tensor], overrides: Mapping[str, Any] | None, *, notes: Any = None
) -> Checkpoint:
    """Read a checkpoint from tensors, whose names determine the format, and the config.json beside them, if any.

    A config.json of another model type, which may contain this one, is ignored.
    """
    if is_wav2vec2(tensors):
        return read_wav2vec2(tensors, path, overrides=overrides)
    if is_torchaudio(tensors):
        return read_torchaudio(tensors, path, notes=notes, overrides=overrides)
    config = path.parent / CONFIG
    if config.is_file() and (is_known(read_json(config)) or not is_named_as_transformers(tensors)):
        return read_hf(HFFolder(path.parent, path, tensors), overrides=overrides)
    tensors, overrides = with_lora_merged(tensors, path.parent, overrides, path)
    return read_state_dict(tensors, path, overrides=overrides)
