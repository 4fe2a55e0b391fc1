"""A model's modules anew around the same tensors."""

import copy
from itertools import chain

import torch
from torch import Tensor, nn

from sonant.models import Backbone


def shared_copy(backbone: Backbone, dtype: torch.dtype | None = None) -> Backbone:
    """The same modules around the same tensors, those of another type converted; for inference."""

    def shared(tensor: Tensor) -> Tensor:
        if dtype is None or tensor.dtype == dtype or not tensor.is_floating_point():
            return tensor
        converted = tensor.detach().to(dtype)
        return nn.Parameter(converted, requires_grad=False) if isinstance(tensor, nn.Parameter) else converted

    memo = {id(tensor): shared(tensor) for tensor in chain(backbone.parameters(), backbone.buffers())}
    return copy.deepcopy(backbone, memo).eval()
