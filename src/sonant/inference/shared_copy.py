"""A model's modules anew around the same tensors."""

import copy
from itertools import chain

import torch
from torch import Tensor, nn

from sonant.models import Backbone


def shared_copy(backbone: Backbone, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Backbone:
    """The same modules around the same tensors, those of another type or device converted; for inference."""

    def shared(tensor: Tensor) -> Tensor:
        converted = tensor.detach().to(device, dtype if tensor.is_floating_point() else None)
        if (converted.dtype, converted.device) == (tensor.dtype, tensor.device):
            return tensor
        return nn.Parameter(converted, requires_grad=False) if isinstance(tensor, nn.Parameter) else converted

    memo = {id(tensor): shared(tensor) for tensor in chain(backbone.parameters(), backbone.buffers())}
    return copy.deepcopy(backbone, memo).eval()
