"""Safe unpickling of files of `torch.save`.

A pickle is a program that calls functions by name. Here a name resolves to a function that rebuilds tensors, a plain
container, or an inert `StandIn`. Any other name raises `UnsafeCheckpoint`. No package is imported.

`torch.load(weights_only=True)` with the stand-ins as safe globals is weaker: safe globals are shared by all threads of
the process; it refuses pickle protocols 4 and 5, and classes derived from dict and list, as in munch and addict; and it
trusts sizes of storages and strides of zero, by which four numbers become a trillion.
"""

import pickle
import pickletools
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from collections.abc import Callable
from math import prod
from typing import Any, NoReturn, Protocol

import torch
from torch import Tensor

from sonant.checkpoints.stand_ins import StandIn, is_inert
from sonant.errors import CorruptedCheckpoint, UnsafeCheckpoint, UnsupportedCheckpoint

STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}
QUANTIZED = {  # of torch.ao.quantization
    ("torch._utils", "_rebuild_qtensor"),
    *(("torch", name) for name in ("qint8", "quint8", "qint32", "per_tensor_affine", "per_channel_affine")),
}


class Storage:
    """Memory of tensors: `size` elements."""

    __slots__ = ("dtype", "memory", "size")

    def __init__(self, memory: torch.UntypedStorage, dtype: torch.dtype, size: int) -> None:
        self.memory, self.dtype, self.size = memory, dtype, size

    def __setstate__(self, _: Any) -> NoReturn:
        raise UnsafeCheckpoint("it changes a storage")


class Storages(Protocol):
    """A source of storages; one class per layout of files."""

    def find(self, key: str, dtype: torch.dtype, size: int) -> Storage:
        """Return the storage with a key, which must have `size` elements."""


def load(file: Any, storages: Storages, *, limit: int) -> Any:
    """Load one pickle of at most `limit` bytes at the file's position, and advance the position."""
    start = file.tell()
    for opcode, argument, _ in pickletools.genops(file):
        # Extension codes bypass find_class; large memo indices allocate unbounded memory.
        if opcode.name.startswith("EXT"):
            raise UnsafeCheckpoint(f"its pickle uses the extension code {argument}")
        if opcode.name in ("LONG_BINPUT", "PUT") and isinstance(argument, int) and argument > limit:
            raise CorruptedCheckpoint(f"The pickle numbers an object {argument}, with {limit} bytes in all.")
    file.seek(start)
    return _Unpickler(file, storages).load()


def _function(call: Callable[..., Any]) -> Any:
    """Wrap a function for pickles in an object without attributes, so that a pickle cannot modify it."""
    return type(call.__name__, (), {"__slots__": (), "__call__": staticmethod(call)})()


@_function
def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    if not isinstance(storage, Storage):
        raise CorruptedCheckpoint("A tensor refers to no storage.")
    numbers = [offset, *shape, *strides]
    if len(shape) != len(strides) or not all(type(number) is int and number >= 0 for number in numbers):
        raise CorruptedCheckpoint(f"A tensor has the impossible shape {shape!r} with strides {strides!r}.")
    last = sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    reach = offset + last + 1 if prod(shape) else offset
    if max(reach, prod(shape)) > storage.size:
        raise CorruptedCheckpoint(f"A tensor of shape {tuple(shape)} reaches beyond its {storage.size} stored numbers.")
    return torch.empty(0, dtype=storage.dtype).set_(storage.memory, offset, tuple(shape), tuple(strides))


@_function
def _parameter(data: Any, *_: Any) -> Any:
    return data


@_function
def _size(items: Any = ()) -> tuple[Any, ...]:
    return tuple(items)


@_function
def _dict_without_factory(*_: Any) -> dict[Any, Any]:
    return {}


@_function
def _latin1(text: Any, encoding: Any = None) -> bytes:
    """`_codecs.encode`, as used in pickles of bytes for Python 2."""
    if isinstance(text, str) and encoding == "latin1":
        return text.encode("latin1")
    raise UnsafeCheckpoint("it calls _codecs.encode")


@_function
def _typing_item(origin: Any, *_: Any) -> Any:
    """`operator.getitem`, as used in pickles of `typing.Optional[int]`; only on stand-ins of `typing`."""
    kind = origin if isinstance(origin, type) else type(origin)
    if issubclass(kind, StandIn) and kind.name.startswith("typing."):
        return origin
    raise UnsafeCheckpoint("it calls operator.getitem")


ALLOWED: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch", "Size"): _size,
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): _dict_without_factory,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("_codecs", "encode"): _latin1,
    ("_operator", "getitem"): _typing_item,
    ("operator", "getitem"): _typing_item,
    **{("torch", str(dtype).partition(".")[2]): dtype for dtype in STORAGES.values()},
}


class _Unpickler(pickle.Unpickler):
    """A `pickle.Unpickler` that imports nothing: names resolve to `ALLOWED` or to stand-ins."""

    def __init__(self, file: Any, storages: Storages) -> None:
        super().__init__(file)
        self.storages = storages
        self.stand_ins: dict[str, type[StandIn]] = {}  # new classes per file, as a pickle may modify them

    def find_class(self, module: str, name: str) -> Any:
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))  # names of Python 2
        if (module, name) in ALLOWED:
            return ALLOWED[module, name]
        if module in ("torch", "torch.storage", "torch.cuda") and name in STORAGES:
            return self._stand_in(f"torch.{name}")
        if is_inert(module, name):
            return self._stand_in(f"{module}.{name}")
        if (module, name) in QUANTIZED:
            raise UnsupportedCheckpoint(
                f"its weights are quantized by PyTorch ({module}.{name}). sonant reads weights in floating point: load "
                "the original that was quantized, and give precision='int8' if integers of eight bits are wanted."
            )
        raise UnsafeCheckpoint(f"its pickle asks for {module}.{name}, which is no tensor and no plain setting")

    def persistent_load(self, identifier: Any) -> Storage:
        match identifier:
            case ("storage", kind, str(key), _, int(size), *view):
                dtype = STORAGES.get(getattr(kind, "name", "").removeprefix("torch."))
                if dtype is not None and size >= 0:
                    storage = self.storages.find(key, dtype, size)
                    return storage if not view or view[0] is None else _part(storage, *view[0][1:])
        raise CorruptedCheckpoint(f"The pickle refers to {identifier!r:.80}, which is no storage.")

    def _stand_in(self, name: str) -> type[StandIn]:
        return self.stand_ins.setdefault(name, type("StandIn", (StandIn,), {"name": name}))


def _part(storage: Storage, offset: Any, size: Any) -> Storage:
    if not all(type(number) is int and number >= 0 for number in (offset, size)) or offset + size > storage.size:
        raise CorruptedCheckpoint(f"A view reaches beyond its storage of {storage.size} numbers.")
    width = storage.dtype.itemsize
    return Storage(storage.memory[offset * width : (offset + size) * width], storage.dtype, size)
