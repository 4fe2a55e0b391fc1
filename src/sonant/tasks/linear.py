"""Linear layers of given weights."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.utils import skip_init


def linear_of(tensors: Mapping[str, Tensor], prefix: str = "") -> nn.Linear:
    """A layer that holds `<prefix>weight` (outputs, inputs) and `<prefix>bias` (outputs,), in float32."""
    weight, bias = tensors[f"{prefix}weight"], tensors[f"{prefix}bias"]
    outputs, inputs = weight.shape
    layer = skip_init(nn.Linear, inputs, outputs)
    layer.weight = nn.Parameter(weight.float())
    layer.bias = nn.Parameter(bias.float())
    return layer
