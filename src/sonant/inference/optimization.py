"""Optimization of a model for inference: a copy with the same hidden states, by faster arithmetic."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple
from weakref import ref

import torch

from sonant.errors import ConfigurationError, ModelWarning, UnknownName, some_of, warn
from sonant.inference.adapters import copy_adapters
from sonant.inference.changes import Snapshot
from sonant.inference.cpu.arithmetic import Arithmetic, fastest
from sonant.inference.cpu.linear import LinearPrecision
from sonant.inference.cpu_copy import optimize_for_cpu
from sonant.inference.cuda_copy import optimize_for_cuda
from sonant.inference.int8.optimization import optimize_in_int8
from sonant.inference.modules import plain_copy
from sonant.inference.precision import PRECISIONS, Precision
from sonant.inference.torch_modes import neutral_torch_modes
from sonant.inference.unoptimized import names_of_unoptimized
from sonant.models import Backbone
from sonant.models.backbone import Origin
from sonant.models.identity import fingerprint


def optimize(
    backbone: Backbone, precision: Precision | None = None, *, device: str | torch.device | None = None
) -> Backbone:
    """Return a copy for inference, without gradients, in evaluation mode; the model itself is not changed.

    Blocks that consist of unmodified modules of this package are replaced by faster ones. Everything else (adapters,
    hooks, parametrizations, quantized layers, another `forward`) runs unoptimized, and a `ModelWarning` names it.
    Weights that are not rearranged are shared with the model, so that later changes of the model affect parts of the
    copy: optimize the model again, or let `OptimizedCopies` do so.

    Args:
        precision: of the products; None: the dtype of the weights. "float32" equals the plain modules to rounding. In
            "bfloat16" sums, norms and softmax are float32. "int8", on CPUs, quantizes the layers named by `int8_groups`
            of the model, with a scale for each frame and each output channel, as far as the states stay near those in
            float32 on a trial recording; other layers use the faster of bfloat16 and float32. On a CPU each kind of
            product is timed first, and computed in a higher precision where that is as fast; a `ModelWarning` says so
            where this is most of the work. "float16" is for GPUs.
        device: None: that of the weights.

    Raises:
        ConfigurationError: a precision that the weights or the device do not support.
    """
    with neutral_torch_modes():
        optimized = _optimized(backbone, precision, device)
    _tell(names_of_unoptimized(optimized))
    return optimized


def _optimized(backbone: Backbone, precision: Precision | None, device: str | torch.device | None) -> Backbone:
    dtype = next((weights.dtype for weights in backbone.parameters()), torch.float32)
    place = backbone.device if device is None else torch.device(device)
    if dtype == torch.float64 and precision is None:
        optimized = plain_copy(backbone, device=place)
    else:
        precision = checked_precision(precision, dtype, place)
        if place.type == "cpu":
            assert precision != "float16"
            arithmetic = fastest(precision)
            _say(precision, arithmetic)
            precision = arithmetic.precision
            optimize_blocks = optimize_in_int8 if arithmetic.integers else optimize_for_cpu
            optimized = optimize_blocks(backbone, arithmetic)
        elif place.type == "cuda":
            optimized = optimize_for_cuda(backbone, precision, place)
        else:
            optimized = plain_copy(backbone, getattr(torch, precision), place)
    optimized.origin = Origin(ref(backbone), precision or "float64")
    return optimized


class _Copy(NamedTuple):
    """An optimized copy, and the request and the state of the model that it was made from."""

    asked: tuple[object, ...]
    weights: str | None
    snapshot: Snapshot
    optimized: Backbone


class OptimizedCopies:
    """The optimized copies of a model, one for each device, made on demand and again when the model has changed.

    They are not pickled or copied with their owner.
    """

    def __init__(self) -> None:
        self._copies: dict[torch.device, _Copy] = {}
        self._told: set[str] = set()
        self._fingerprint: tuple[Snapshot, str] | None = None

    def __reduce__(self) -> tuple[type["OptimizedCopies"], tuple[()]]:
        return OptimizedCopies, ()

    def get(
        self, backbone: Backbone, precision: Precision | None, device: torch.device, *, weights: str | None = None
    ) -> Backbone:
        """Return the copy for a device; a copy of another model or precision is replaced.

        Args:
            weights: a fingerprint of the weights, where known; a copy with another one is replaced, in addition to the
                quicker check for changes.
        """
        with neutral_torch_modes():
            return self._get(backbone, precision, device, weights)

    def fingerprint(self, backbone: Backbone) -> str:
        """Return the fingerprint of the model, computed again only when the model has changed."""
        known = self._fingerprint
        if known is None or not known[0].holds(backbone):
            self._fingerprint = known = Snapshot(backbone), fingerprint(backbone)
        return known[1]

    @contextmanager
    def following(self, backbone: Backbone) -> Iterator[None]:
        """Update the copies after a block that exchanges the adapters of the model and changes nothing else.

        A copy that was out of date, or whose adapters differ in form, is made again on demand.
        """
        current = {device: copy for device, copy in self._copies.items() if copy.snapshot.holds(backbone)}
        self._copies.clear()
        yield
        for device, copy in current.items():
            if copy_adapters(copy.optimized, backbone):
                self._copies[device] = copy._replace(weights=None, snapshot=Snapshot(backbone))

    def _get(
        self, backbone: Backbone, precision: Precision | None, device: torch.device, weights: str | None
    ) -> Backbone:
        asked = (precision, backbone.int8_groups)
        known = self._copies.get(device)
        if known and known.asked == asked and weights in (None, known.weights) and known.snapshot.holds(backbone):
            return known.optimized
        del known
        self._copies.pop(device, None)  # first, as memory may not suffice for two
        snapshot = Snapshot(backbone)
        optimized = _optimized(backbone, precision, device)
        unoptimized = names_of_unoptimized(optimized)
        if str(unoptimized) not in self._told:
            self._told.add(str(unoptimized))
            _tell(unoptimized)
        if not unoptimized or device == backbone.device:  # else they were copied
            self._copies[device] = _Copy(asked, weights, snapshot, optimized)
        return optimized


def _tell(unoptimized: Sequence[str]) -> None:
    """Warn of the modules that run unoptimized."""
    if unoptimized:
        warn(
            f"Parts of the model run as they are, slower than they could: {some_of(unoptimized, 3)}. Only the "
            "modules of this package, unchanged, have a faster form. The states are right; merge adapters into the "
            "weights, or remove hooks and parametrizations, to gain the speed back.",
            ModelWarning,
        )


def checked_precision(precision: Precision | None, dtype: torch.dtype, device: torch.device) -> Precision:
    """Return the precision for weights of a dtype on a device: the requested one, or that of the weights.

    Raises:
        UnknownName: there is no such precision.
        ConfigurationError: the weights or the device do not support it.
    """
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


def _say(asked: LinearPrecision, arithmetic: Arithmetic) -> None:
    """Warn if most of the work is done in another precision than requested."""
    instead = arithmetic.precision
    if instead != asked:
        warn(
            f"precision={asked!r} is not faster than {instead!r} on this CPU, as a trial showed: the model is run in "
            f"{instead!r}, which is more precise, and takes the memory that {instead!r} takes.",
            ModelWarning,
        )
