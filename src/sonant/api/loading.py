"""Loading of models by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import torch

from sonant.api.encoder import SpeechEncoder
from sonant.checkpoints import load_checkpoint, make_backbone
from sonant.errors import ConfigurationError
from sonant.inference import Precision, checked_precision
from sonant.models.devices import Device, usable_devices


def load(
    model: str | PathLike[str],
    *,
    device: Device | Sequence[Device] | None = None,
    dtype: torch.dtype | str | None = None,
    precision: Precision | None = None,
    revision: str | None = None,
    tokenizer: str | PathLike[str] | None = None,
    language: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> SpeechEncoder:
    """Load a model: "sonant/wavlm-tiny" (shipped), a hub id, a folder, or a checkpoint file of any known format.

    A model of the catalog may be given by the last part of its id ("wavlm-base-plus"), unless a local file or folder
    has that name. Heads of fine-tuned models are loaded too, and run in float32 (see `SpeechEncoder.abilities`).

    Args:
        model: name, folder or file.
        device: one or several devices, which share the recordings; None: a GPU if there is one.
        dtype: of the weights, as a type of torch or by name ("bfloat16"); None: float32.
        precision: of the arithmetic, unless a call names another: "float32", "bfloat16", "int8" (on a CPU) or "float16"
            (on a GPU); None: that of the weights.
        revision: branch, tag or commit of a hub id.
        tokenizer: the vq-wav2vec of a Discrete BERT, if `model` is a file of fairseq or s3prl.
        language: of a model with adapters by language (MMS), such as "fra" or "fr" (target_lang in transformers); None:
            the one in its weights, English for MMS. `SpeechEncoder.set_language` changes it.
        overrides: settings that replace those of the checkpoint, see `sonant.checkpoints.load_checkpoint`.

    Raises:
        CheckpointError: the model cannot be found or read; the message gives cause and cure.
        ConfigurationError: an unavailable device, an impossible dtype or precision, or `model` is no name.
        UnknownName: no such precision or language.
    """
    devices = usable_devices(device)
    weights = _floating(dtype)
    for place in devices:
        checked_precision(precision, weights, place)
    given = {**(overrides or {}), **({} if tokenizer is None else {"tokenizer": tokenizer})}
    checkpoint = load_checkpoint(model, revision=revision, overrides=given, language=language)
    backbone = make_backbone(checkpoint, dtype=weights, device=devices[0])
    return SpeechEncoder(
        backbone,
        name=str(model),
        revision=revision,
        device=devices,
        heads=checkpoint.heads,
        precision=precision,
        languages=checkpoint.languages,
    )


def _floating(dtype: torch.dtype | str | None) -> torch.dtype:
    """Return the type of weights for a `dtype` argument."""
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if found is None and dtype is None:
        return torch.float32
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise ConfigurationError(
            f"dtype={dtype!r} was given; expected float32, bfloat16 or float16, as torch.bfloat16 or by name. For "
            "integers of eight bits give precision='int8'."
        )
    return found


def encoder_of(model: str | PathLike[str] | SpeechEncoder) -> SpeechEncoder:
    """Return a loaded model; load it if it is given by name."""
    return model if isinstance(model, SpeechEncoder) else load(model)
