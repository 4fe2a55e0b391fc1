"""Linear layers in training on a CPU, by the products of `sonant.layers.kernels.products`."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sonant.layers.kernels.products import gains, multiply
from sonant.layers.kernels.tracing import is_observed, is_traced


def project(layer: nn.Module, x: Tensor) -> Tensor:
    """Compute a linear layer, (..., in) to (..., out); any other module in its place is called."""
    if type(layer) is nn.Linear and not is_traced() and not is_observed(layer):
        return linear(x, layer.weight, layer.bias)
    made: Tensor = layer(x)
    return made


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute x @ weight.T + bias: (..., in) to (..., out)."""
    suited = _trains_on_a_cpu(x, weight) and not is_traced() and not torch.is_autocast_enabled("cpu")
    if not suited or not gains(x.shape[:-1].numel() * weight.numel()):
        return F.linear(x, weight, bias)
    made: Tensor = _Linear.apply(x.flatten(0, -2), weight, bias)
    return made.unflatten(0, x.shape[:-1])


def _trains_on_a_cpu(x: Tensor, weight: Tensor) -> bool:
    kinds = type(x) is Tensor and type(weight) in {Tensor, nn.Parameter} and x.dim() > 1
    wanted = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    return kinds and wanted and x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu"


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return multiply(x, weight.T, bias=bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        return (
            multiply(gradient, weight) if of_x else None,
            multiply(gradient.T, x) if of_weight else None,
            gradient.sum(0) if of_bias else None,
        )
