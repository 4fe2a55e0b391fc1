"""Conversion of linear layers to and from tensors."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.utils import skip_init

from sonant.errors import ConfigurationError


def tensors_of(layer: nn.Linear, prefix: str = "") -> dict[str, Tensor]:
    """Return the tensors from which `linear_of` makes the layer. Raises ConfigurationError."""
    if type(layer) is not nn.Linear:
        raise ConfigurationError(
            f"The linear layer {prefix.rstrip('.') or 'of the head'} was replaced by a {type(layer).__name__}, for "
            "which no format has a place. Merge an adapter into the layer's weight before the model is saved."
        )
    return {f"{prefix}weight": layer.weight, f"{prefix}bias": layer.bias}


def linear_of(tensors: Mapping[str, Tensor], prefix: str = "") -> nn.Linear:
    """Make a layer from `<prefix>weight` (outputs, inputs) and `<prefix>bias` (outputs,), in float32."""
    weight, bias = tensors[f"{prefix}weight"], tensors[f"{prefix}bias"]
    outputs, inputs = weight.shape
    layer = skip_init(nn.Linear, inputs, outputs)
    layer.weight = nn.Parameter(weight.float())
    layer.bias = nn.Parameter(bias.float())
    return layer
