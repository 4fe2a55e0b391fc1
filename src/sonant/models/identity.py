"""Fingerprints of models."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from sonant.models import Backbone
from sonant.renamed_settings import earliest_name


def fingerprint(model: Backbone) -> str:
    """Return a short hash of weights and configuration: models with equal hashes compute equal features.

    Settings with default values are left out, so that settings added by later versions do not change hashes; renamed
    settings have their original names.
    """
    config = model.config
    settings = [(each.name, getattr(config, each.name), each.default) for each in fields(config)]
    changed = (_text(type(config), name, value) for name, value, usual in settings if value != usual)
    return digest_of(changed, model.state_dict())


def digest_of(facts: Iterable[str], tensors: Mapping[str, Tensor]) -> str:
    """Return a short hash of facts and of tensors by name."""
    digest = hashlib.sha256()
    for fact in facts:
        digest.update(fact.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return f"sha256:{digest.hexdigest()[:16]}"


def _text(config: type, name: str, value: Any) -> str:
    """Return a setting as text, configurations inside as their `repr` was when they were first written."""
    text = repr(value)
    if is_dataclass(value):
        inside = (_text(type(value), each.name, getattr(value, each.name)) for each in fields(value))
        text = f"{type(value).__name__}({', '.join(inside)})"
    return f"{earliest_name(config.__name__, name)}={text}"
