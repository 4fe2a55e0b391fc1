"""Activation functions by name."""

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from sonant.errors import UnknownName

Activation = Literal["relu", "gelu", "swish"]


def activation(name: Activation) -> Callable[[Tensor], Tensor]:
    """Return the function of that name. Raises UnknownName."""
    match name:
        case "relu":
            return F.relu
        case "gelu":
            return F.gelu
        case "swish":
            return F.silu
    raise UnknownName("activation", name, ["relu", "gelu", "swish"])
