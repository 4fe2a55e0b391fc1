"""A model's modules anew: around the same memory, and others in the place of some."""

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

# What these do depends on the class of a module inside them, so that no other can stand in its place.
INSEPARABLE = (ConvLayer, VQWav2Vec)


def shared_copy(backbone: Backbone, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Backbone:
    """Copy modules for inference around the same memory; tensors of another type or device are converted.

    The parameters of the copy require no gradient.
    """
    memo = {id(tensor): converted(tensor, dtype, device) for tensor in chain(backbone.parameters(), backbone.buffers())}
    return copy.deepcopy(backbone, memo).eval()


def converted(tensor: Tensor, dtype: torch.dtype | None, device: torch.device | None) -> Tensor:
    """Return the same memory without a gradient, or a copy of another type or on another device."""
    moved = tensor.detach().to(device, dtype if tensor.is_floating_point() else None)
    return nn.Parameter(moved, requires_grad=False) if isinstance(tensor, nn.Parameter) else moved


def plain_copy(backbone: Backbone, dtype: torch.dtype | None = None, device: torch.device | None = None) -> Backbone:
    """A copy for inference of what is plain in a model (see `sonant.inference.plain`), around the original rest.

    It shares its memory too, where nothing has to be converted; its parameters require no gradient.

    Args:
        dtype: of the floating-point tensors of the copies; None keeps theirs.
        device: None: where the model is.
    """
    place = next(backbone.parameters()).device if device is None else device
    if has_global_hooks():
        return UnoptimizedBackbone(_on(place, backbone), "the model (hooks on all modules)")
    made = _Copies(dtype, place).of(backbone, "the model")
    if isinstance(made, Unoptimized):
        return UnoptimizedBackbone(_on(place, backbone), made.name)
    assert isinstance(made, Backbone)
    return made


class _Copies:
    """The copies made of the modules and tensors of one model."""

    def __init__(self, dtype: torch.dtype | None, device: torch.device) -> None:
        self._dtype, self._device = dtype, device
        self._modules: dict[int, nn.Module] = {}
        self._tensors: dict[int, Tensor] = {}

    def of(self, module: nn.Module, name: str) -> nn.Module:
        """Return the copy of a module, the same one for a module that stands in several places."""
        if id(module) not in self._modules:
            reason = customization(module)
            if reason is None:
                made = self._shell(module, name)
            else:
                made = Unoptimized(_on(self._device, module), f"{name} ({reason})")
            self._modules[id(module)] = made
        return self._modules[id(module)]

    def _shell(self, module: nn.Module, name: str) -> nn.Module:
        """A plain module around copies of those inside it; itself, as it is, where these cannot be parted from it."""
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
    """A module itself, or a copy of it if it lies on another device."""
    devices = {tensor.device for tensor in chain(module.parameters(), module.buffers())}
    return module if devices <= {device} else copy.deepcopy(module).to(device)


def replace_blocks(module: nn.Module, replacement: Callable[[nn.Module], nn.Module | None]) -> None:
    """Replace every module, at any depth, that has a replacement, except inside modules that run as they are."""
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
