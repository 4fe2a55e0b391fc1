"""Copies of a module on the devices of a recording's frames."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


class DeviceCopies(Generic[M]):
    """A module and its float32 copies on other devices, which follow its weights.

    Attributes:
        module: the original, which may be trained or changed.
    """

    def __init__(self, module: M) -> None:
        self.module = module
        self._copies: dict[torch.device, tuple[object, M]] = {}

    def on(self, device: torch.device) -> M:
        """Return a float32 module on a device: the original if possible, else a copy."""
        tensors = list(self.module.parameters())
        if all(tensor.device == device and tensor.dtype == torch.float32 for tensor in tensors):
            return self.module
        state = [(id(tensor), tensor.data_ptr(), tensor._version) for tensor in tensors]  # noqa: SLF001
        known, copied = self._copies.get(device, (None, None))
        if copied is None or known != state:
            copied = copy.deepcopy(self.module).to(device, torch.float32)
            self._copies[device] = (state, copied)
        return copied
