"""Detection of changes to a model since a copy of it was optimized for inference.

Optimizers and `load_state_dict` increase the version counter of each tensor; writes through `.data`, as in EMA and
distributed code, do not. Reading every weight would cost more than encoding a short clip, so a sample is compared: of
each matrix enough values that every row and every column is represented.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import gcd
from types import BuiltinFunctionType, FunctionType, NoneType

import torch
from torch import Tensor, nn

from sonant.inference.plain import STANDARD, customization, has_global_hooks, own_tensors

SMALL = 4096  # values of a tensor that is compared whole
COMPARED = (int, float, str, tuple, NoneType, FunctionType, BuiltinFunctionType)  # attributes compared by value
BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes; NaN equals itself as bits


class Snapshot:
    """A snapshot of the state of a model, as far as an optimized copy depends on it.

    The copy calls customized modules themselves, so a snapshot leaves out their contents.
    """

    def __init__(self, model: nn.Module) -> None:
        self._structure, tensors = _walk(model)
        self._places = _places(tensors)
        self._samples = [_sample(group) for group in _alike(tensors)]
        self._values = _values(self._samples)

    def holds(self, model: nn.Module) -> bool:
        """Return whether a model is unchanged."""
        structure, tensors = _walk(model)
        if structure != self._structure or _places(tensors) != self._places:
            return False
        return all(map(torch.equal, _values(self._samples), self._values))  # views of the same memory


def _walk(model: nn.Module) -> tuple[list[object], list[Tensor]]:
    """List modules with their attributes, and tensors, down to customized modules."""
    structure: list[object] = []
    tensors: list[Tensor] = []
    seen: set[int] = set()

    def visit(module: nn.Module) -> None:
        structure.append(module)
        if id(module) in seen:
            return
        seen.add(id(module))
        if customization(module) is not None:
            structure.append("as it is")
            return
        own = vars(module)
        structure.extend(
            value if isinstance(value, COMPARED) or _is_record(value) else id(value)
            for name, value in own.items()
            if name not in STANDARD
        )
        tensors.extend(own_tensors(module))
        children = own["_modules"]
        structure.extend(children)
        for child in children.values():
            if child is not None:
                visit(child)

    if has_global_hooks():
        structure.append("global hooks")
    else:
        visit(model)
    return structure, tensors


def _is_record(value: object) -> bool:
    return hasattr(type(value), "__dataclass_fields__")


def _places(tensors: Iterable[Tensor]) -> list[tuple[object, ...]]:
    """Return address, layout and version counter of each tensor."""
    return [
        (
            tensor.data_ptr(),
            0 if tensor.is_inference() else tensor._version,  # noqa: SLF001 - torch has no other way
            tensor.dtype,
            tensor.shape,
            tensor.stride(),
        )
        for tensor in tensors
    ]


def _alike(tensors: Iterable[Tensor]) -> list[list[Tensor]]:
    """Group tensors by device and dtype."""
    groups: dict[object, list[Tensor]] = defaultdict(list)
    for tensor in tensors:
        groups[tensor.device, tensor.dtype].append(tensor.detach())
    return list(groups.values())


def _sample(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return views of the values to compare; on a GPU, where launches cost more than reading, of all values."""
    return [tensor if tensor.is_cuda else _spread(tensor) for tensor in tensors]


def _spread(tensor: Tensor) -> Tensor:
    """Return a view (values,) of the bits of a sample of a tensor, all of it where it is small."""
    bits = tensor.view(BITS[tensor.element_size()]) if tensor.element_size() in BITS else tensor
    reach = 1 + sum((size - 1) * stride for size, stride in zip(bits.shape, bits.stride(), strict=True))
    rows = bits.shape[0] if bits.ndim else 1
    columns = max(1, bits.numel() // max(1, rows))
    step = 1
    if bits.numel() > SMALL and bits.ndim > 1:
        step = next((step for step in range(min(rows, columns - 1), 1, -1) if gcd(step, columns) == 1), 1)
    return bits.as_strided((0 if bits.numel() == 0 else -(-reach // step),), (step,))


def _values(samples: Iterable[Sequence[Tensor]]) -> list[Tensor]:
    """Return the values of the views; on a GPU the norm of each tensor."""
    return [
        torch.stack(torch._foreach_norm([view.float() for view in views])).view(torch.int32)  # noqa: SLF001
        if views[0].is_cuda
        else torch.cat(list(views))
        for views in samples
    ]
