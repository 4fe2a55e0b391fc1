"""A module on the device of a recording's frames."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


class DeviceCopies(Generic[M]):
    """A module, and copies of it in float32 on other devices, made anew when its weights have changed.

    Attributes:
        module: the one to train or to change.
    """

    def __init__(self, module: M) -> None:
        self.module = module
        self._copies: dict[torch.device, tuple[object, M]] = {}

    def on(self, device: torch.device) -> M:
        """Return the module itself, if it is on that device in float32, or a copy there."""
        tensors = list(self.module.parameters())
        if all(tensor.device == device and tensor.dtype == torch.float32 for tensor in tensors):
            return self.module
        state = [(id(tensor), tensor.data_ptr(), tensor._version) for tensor in tensors]  # noqa: SLF001
        known, copied = self._copies.get(device, (None, None))
        if copied is None or known != state:
            copied = copy.deepcopy(self.module).to(device, torch.float32)
            self._copies[device] = (state, copied)
        return copied
