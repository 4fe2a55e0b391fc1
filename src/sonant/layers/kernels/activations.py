"""Activation functions by name."""

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor

from sonant.errors import UnknownName

Activation = Literal["relu", "gelu", "gelu_tanh", "swish"]  # gelu_tanh: the approximation of GELU by tanh


def activation(name: Activation) -> Callable[[Tensor], Tensor]:
    """Return the function of that name. Raises UnknownName."""
    match name:
        case "relu":
            return F.relu
        case "gelu":
            return F.gelu
        case "gelu_tanh":
            return partial(F.gelu, approximate="tanh")
        case "swish":
            return F.silu
    raise UnknownName("activation", name, get_args(Activation))
