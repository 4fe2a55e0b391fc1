"""Makes of a model the copy that is run: same states, same numbering, faster arithmetic."""

import warnings
from itertools import chain

import torch
from torch import Tensor

from sonant.errors import ConfigurationError, UnknownName
from sonant.inference.cpu import prepare_cpu
from sonant.inference.cpu.linear import LinearPrecision, has_bfloat16, has_int8
from sonant.inference.cuda import prepare_cuda
from sonant.inference.modules import shared_copy
from sonant.inference.precision import PRECISIONS, Precision
from sonant.models import Backbone


def prepare(
    backbone: Backbone, precision: Precision | None = None, *, device: str | torch.device | None = None
) -> Backbone:
    """A copy for inference, without gradients, in evaluation mode; the given model stays as it is.

    Weights that are not rearranged are shared with it, so a later change of them shows here in part: prepare anew.

    Args:
        precision: None takes that of the weights. "float32" gives the states of the plain modules to rounding.
            "bfloat16" multiplies in bfloat16 and adds up, normalises and takes softmax in float32. "int8", on a CPU,
            multiplies the layers that the model's `int8_groups` names in integers of eight bits, with a scale for each
            frame and each output channel, and the rest in bfloat16. Where the CPU gains nothing from these, a warning
            says so and the next higher precision is taken. "float16" is for GPUs.
        device: None takes that of the weights.

    Raises:
        ConfigurationError: a precision that weights or device cannot give.
    """
    weights = next(backbone.parameters())
    place = weights.device if device is None else torch.device(device)
    if weights.dtype == torch.float64 and precision is None:
        return shared_copy(backbone, device=place)
    precision = _checked(precision, weights.dtype, place)
    if place.type == "cpu":
        return prepare_cpu(backbone, _supported(precision))
    if place.type == "cuda":
        return prepare_cuda(backbone, precision, place)
    return shared_copy(backbone, getattr(torch, precision), place)


class PreparedCopies:
    """The prepared copies of a model: made when first asked for, and again when it has changed."""

    def __init__(self) -> None:
        self._copies: dict[torch.device, tuple[object, Backbone]] = {}

    def get(self, backbone: Backbone, precision: Precision | None, device: torch.device) -> Backbone:
        """One copy is kept for each device; another model or precision replaces it."""
        tensors = [_state(tensor) for tensor in chain(backbone.parameters(), backbone.buffers())]
        asked = (precision, backbone.int8_groups, tensors)
        made, prepared = self._copies.get(device, (None, None))
        if prepared is None or made != asked:
            self._copies.pop(device, None)  # before the next is made: there may be no room for two
            prepared = prepare(backbone, precision, device=device)
            self._copies[device] = (asked, prepared)
        return prepared


def _state(tensor: Tensor) -> tuple[int, int]:
    """Where a tensor lies and how often it was written to."""
    return tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version  # noqa: SLF001 - torch has no other way


def _checked(precision: Precision | None, dtype: torch.dtype, device: torch.device) -> Precision:
    name = str(dtype).removeprefix("torch.")
    if precision is None:
        return "float32" if device.type == "cpu" and name == "float16" else name  # type: ignore[return-value]
    if precision not in PRECISIONS:
        raise UnknownName("precision", precision, PRECISIONS)
    if precision == "float32" and dtype != torch.float32:
        raise ConfigurationError(
            f"precision='float32' was asked of weights in {name}, which have lost the digits already. Load the model "
            "with dtype=torch.float32."
        )
    if precision == "float16" and device.type == "cpu":
        raise ConfigurationError("precision='float16' needs a GPU; on a CPU use 'bfloat16', 'int8' or 'float32'.")
    if precision == "int8" and device.type != "cpu":
        raise ConfigurationError("precision='int8' is for CPUs; on a GPU use 'bfloat16', 'float16' or 'float32'.")
    return precision


def _supported(precision: Precision) -> LinearPrecision:
    """The nearest arithmetic that pays on this CPU."""
    if precision == "int8" and not has_int8():
        _say("int8", "integers of eight bits", "bfloat16")
        precision = "bfloat16"
    if precision == "bfloat16" and not has_bfloat16():
        _say("bfloat16", "bfloat16", "float32")
        precision = "float32"
    assert precision != "float16"
    return precision


def _say(precision: Precision, numbers: str, instead: Precision) -> None:
    warnings.warn(
        f"precision={precision!r} gains nothing on this CPU, which does not multiply {numbers} fast; {instead!r} is "
        "tried in its place.",
        stacklevel=5,
    )
