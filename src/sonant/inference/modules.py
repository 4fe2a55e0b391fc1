"""A model's modules anew: around the same memory, and others in the place of some."""

import copy
from collections.abc import Callable
from itertools import chain

import torch
from torch import Tensor, nn

from sonant.models import Backbone


def shared_copy(backbone: Backbone, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Backbone:
    """The same modules around the same memory, for inference; tensors of another type or device are converted.

    Its parameters want no gradient.
    """

    def shared(tensor: Tensor) -> Tensor:
        converted = tensor.detach().to(device, dtype if tensor.is_floating_point() else None)
        return nn.Parameter(converted, requires_grad=False) if isinstance(tensor, nn.Parameter) else converted

    memo = {id(tensor): shared(tensor) for tensor in chain(backbone.parameters(), backbone.buffers())}
    return copy.deepcopy(backbone, memo).eval()


def replace_blocks(module: nn.Module, replacement: Callable[[nn.Module], nn.Module | None]) -> None:
    """Put another module in the place of each, at whatever depth, for which there is one."""
    for name, child in module.named_children():
        block = replacement(child)
        if block is None:
            replace_blocks(child, replacement)
        else:
            setattr(module, name, block)
