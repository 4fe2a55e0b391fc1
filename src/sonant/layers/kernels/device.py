"""Placement of kernels and of small tensors on a device."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def current_device(device: torch.device) -> AbstractContextManager[object]:
    """Make a GPU the current device, on which kernels are launched."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor from the CPU to a device; to a GPU from pinned memory, without waiting for its pending work."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
