"""Copies of modules that share memory with the originals, and replacement of blocks in them."""

import copy
from collections.abc import Callable
from itertools import chain
from typing import TypeVar

import torch
from torch import Tensor, nn

from sonant.inference.plain import STANDARD, customization, has_global_hooks
from sonant.inference.unoptimized import Unoptimized, UnoptimizedBackbone
from sonant.layers.conv_extractor import ConvLayer
from sonant.models import Backbone, VQWav2Vec

M = TypeVar("M", bound=nn.Module)

# Modules that depend on the class of a module inside them, which can therefore not be replaced.
INSEPARABLE = (ConvLayer, VQWav2Vec)


def shared_copy(backbone: Backbone, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Backbone:
    """Copy modules without copying memory, except of tensors that change dtype or device.

    The parameters of the copy require no gradient.
    """
    memo = {id(tensor): converted(tensor, dtype, device) for tensor in chain(backbone.parameters(), backbone.buffers())}
    return copy.deepcopy(backbone, memo).eval()


def converted(tensor: Tensor, dtype: torch.dtype | None, device: torch.device | None) -> Tensor:
    """Return a detached view, or a copy of another dtype or on another device."""
    moved = tensor.detach().to(device, dtype if tensor.is_floating_point() else None)
    return nn.Parameter(moved, requires_grad=False) if isinstance(tensor, nn.Parameter) else moved


def plain_copy(backbone: Backbone, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Backbone:
    """Copy the plain modules of a model (see `sonant.inference.plain`); customized ones are wrapped, not copied.

    Memory is shared where dtype and device stay the same; the parameters require no gradient.

    Args:
        dtype: of the floating-point tensors; None keeps it.
        device: None keeps it.
    """
    place = backbone.device if device is None else device
    if has_global_hooks():
        return UnoptimizedBackbone(_on(place, backbone), "the model (hooks on all modules)")
    made = _Copies(dtype, place).of(backbone, "the model")
    if isinstance(made, Unoptimized):
        return UnoptimizedBackbone(_on(place, backbone), made.name)
    assert isinstance(made, Backbone)
    return made


class _Copies:
    """The copies of the modules and tensors of one model."""

    def __init__(self, dtype: torch.dtype | None, device: torch.device) -> None:
        self._dtype, self._device = dtype, device
        self._modules: dict[int, nn.Module] = {}
        self._tensors: dict[int, Tensor] = {}

    def of(self, module: nn.Module, name: str) -> nn.Module:
        """Return the copy of a module; a module that is used in several places has one copy."""
        if id(module) not in self._modules:
            reason = customization(module)
            if reason is None:
                made = self._shell(module, name)
            else:
                made = Unoptimized(_on(self._device, module), f"{name} ({reason})")
            self._modules[id(module)] = made
        return self._modules[id(module)]

    def _shell(self, module: nn.Module, name: str) -> nn.Module:
        """Copy a plain module around copies of its children; wrap the original where these are inseparable from it."""
        made = type(module).__new__(type(module))
        nn.Module.__init__(made)
        vars(made).update({name: value for name, value in vars(module).items() if name not in STANDARD})
        made.training = False
        made._modules = {  # noqa: SLF001
            key: None if child is None else self.of(child, f"{name}.{key}")
            for key, child in module._modules.items()  # noqa: SLF001
        }
        if isinstance(module, INSEPARABLE) and any(isinstance(child, Unoptimized) for child in made.children()):
            return Unoptimized(_on(self._device, module), f"{name} (something inside it)")
        for kind in ("_parameters", "_buffers"):
            own = vars(module)[kind].items()
            setattr(made, kind, {key: None if tensor is None else self._tensor(tensor) for key, tensor in own})
        return made

    def _tensor(self, tensor: Tensor) -> Tensor:
        if id(tensor) not in self._tensors:
            self._tensors[id(tensor)] = converted(tensor, self._dtype, self._device)
        return self._tensors[id(tensor)]


def _on(device: torch.device, module: M) -> M:
    """Return the module, or a copy of it on another device."""
    devices = {tensor.device for tensor in chain(module.parameters(), module.buffers())}
    return module if devices <= {device} else copy.deepcopy(module).to(device)


def replace_blocks(module: nn.Module, replacement: Callable[[nn.Module], nn.Module | None]) -> None:
    """Replace every module, at any depth, that has a replacement, except inside unoptimized modules."""
    _replace(module, replacement, {})


def _replace(
    module: nn.Module, replacement: Callable[[nn.Module], nn.Module | None], known: dict[int, nn.Module]
) -> None:
    for name, child in module._modules.items():  # noqa: SLF001 - `named_children` leaves out what it has named before
        if child is None or isinstance(child, Unoptimized):
            continue
        if id(child) not in known:
            block = replacement(child)
            if block is None:
                _replace(child, replacement, known)
            known[id(child)] = child if block is None else block
        setattr(module, name, known[id(child)])
