"""A fingerprint that tells one model from another."""

import hashlib
from dataclasses import fields

import torch

from sonant.models import Backbone


def fingerprint(model: Backbone) -> str:
    """A short hash of a model's weights and configuration: two models with the same one give the same features.

    Settings that have their default are left out, so that one which a later version adds changes no hash.
    """
    digest = hashlib.sha256()
    for setting in fields(model.config):
        value = getattr(model.config, setting.name)
        if value != setting.default:
            digest.update(f"{setting.name}={value!r}".encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return f"sha256:{digest.hexdigest()[:16]}"
