"""Reads what `torch.save` wrote without running anything that the file asks for.

A pickle is a program: it names functions and has them called. Here a name leads to one of three things: a rebuilder of
tensors, a plain container, or an inert `StandIn` that only remembers what it was given (for the configuration classes
of fairseq, omegaconf, argparse and the like). Any other name is refused with `UnsafeCheckpoint` before it is looked up.
The packages that the names belong to are never imported.

Both layouts are read: the zip archive, whose tensors stay on disk and are mapped into memory, and the older stream.
"""

import mmap
import pickle
import pickletools
import struct
import sys
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Mapping
from io import BufferedReader, BytesIO
from math import prod
from pathlib import Path
from typing import Any, NoReturn, Self

import torch
from torch import Tensor

from sonant.errors import (
    CheckpointError,
    CorruptedCheckpoint,
    UnknownCheckpoint,
    UnsafeCheckpoint,
    UnsupportedCheckpoint,
)

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # torch.serialization.MAGIC_NUMBER
LEGACY_VERSION = 1001

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
DTYPES = {str(dtype).partition(".")[2]: dtype for dtype in STORAGES.values()}

# Classes of these packages hold configurations, dictionaries, meters and what a trainer remembers. They become
# stand-ins whatever their name.
INERT_PACKAGES = (
    *("accelerate", "addict", "argparse", "datetime", "deepspeed", "easydict", "enum", "espnet", "espnet2", "examples"),
    *("fairseq", "hydra", "lightning", "lightning_fabric", "lightning_utilities", "ml_collections", "munch", "nemo"),
    *("omegaconf", "peft", "pathlib", "pytorch_lightning", "s3prl", "speechbrain", "torchmetrics", "transformers"),
    *("typing", "yacs"),
)
INERT_MODULES = ("torch.nn.modules.loss", "torch.optim")  # settings of a training script; layers would be a program
# Further names that such files mention; they too become stand-ins.
INERT_NAMES = {
    *(
        ("builtins", name)
        for name in ("bool", "bytes", "complex", "dict", "float", "int", "list", "object", "str", "tuple")
    ),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    *(("numpy", name) for name in ("dtype", "float16", "float32", "float64", "int32", "int64", "bool_", "ndarray")),
    ("collections", "Counter"),
    ("torch", "device"),
}
QUANTIZED = {  # as torch.ao.quantization leaves them
    ("torch._utils", "_rebuild_qtensor"),
    *(("torch", name) for name in ("qint8", "quint8", "qint32", "per_tensor_affine", "per_channel_affine")),
}
DEPTH = 64  # of nested configurations


class StandIn:
    """An object of a class that we do not want: its arguments, its state and its items, and nothing that runs.

    Attributes:
        name: "module.Class" of the original.
        args: the arguments that it was made with.
        state: the state that the pickle set on it, usually a dict of its attributes.
        items: the items that the pickle put into it, where it is a dict or a list.
    """

    name = "?"

    def __new__(cls, *args: Any, **_: Any) -> Self:
        made = super().__new__(cls)
        made.args = args
        made.state = None
        made.items = []
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        self.args: tuple[Any, ...]
        self.state: Any
        self.items: list[Any]

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items.append((key, value))

    def append(self, value: Any) -> None:
        self.items.append(value)

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        raise UnsafeCheckpoint(f"it calls an object of type {self.name}")

    def __repr__(self) -> str:
        return f"<stand-in for {self.name}>"


def plain(value: Any, *, depth: int = 0) -> Any:
    """A configuration as dicts, lists, strings and numbers, whichever classes it was pickled with."""
    if depth > DEPTH:
        raise UnsafeCheckpoint(f"The configuration is nested more than {DEPTH} deep; no training tool writes that.")
    if isinstance(value, Mapping):
        return {plain(key, depth=depth + 1): plain(item, depth=depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, depth=depth + 1) for item in value]
    if isinstance(value, Tensor):
        return f"<a tensor of shape {tuple(value.shape)}>"
    if not isinstance(value, StandIn):
        return value
    state = value.state
    if isinstance(state, tuple) and len(state) == 2:  # (attributes, slots), as pickle has it
        state = {**(state[0] or {}), **(state[1] or {})}
    if isinstance(state, dict):
        for content in ("_content", "_val"):  # omegaconf's containers and leaves
            if content in state:
                return plain(state[content], depth=depth + 1)
        return plain(state, depth=depth + 1)
    if value.items:
        pairs = all(isinstance(item, tuple) and len(item) == 2 for item in value.items)
        return plain(dict(value.items) if pairs else value.items, depth=depth + 1)
    return plain(value.args[0], depth=depth + 1) if len(value.args) == 1 else repr(value)  # an enum is its value


def read_pickle(path: Path) -> Any:
    """The object in a file of `torch.save`: containers, tensors on the CPU, stand-ins.

    Raises:
        UnsafeCheckpoint: the pickle asks for anything else; nothing has run.
        CorruptedCheckpoint: the file is damaged or cut short.
        UnknownCheckpoint: a file of another kind.
        UnsupportedCheckpoint: tensors that PyTorch has quantized.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
        return _read_zip(path) if start.startswith(b"PK") else _read_stream(path)
    except UnsafeCheckpoint as error:
        raise UnsafeCheckpoint(
            f"{path} was not loaded: {error}. Nothing of it was run. Weights need tensors and plain settings only, so "
            "either the file holds a whole pickled program (ask its author for the state dict, best as safetensors), "
            "or settings of classes that a training script defines (where it was written, save the state dict alone), "
            "or somebody means harm."
        ) from None
    except CorruptedCheckpoint as error:
        raise CorruptedCheckpoint(f"{path} is damaged: {error} Download or copy it again.") from None
    except UnsupportedCheckpoint as error:
        raise UnsupportedCheckpoint(f"{path}: {error}") from None
    except CheckpointError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise CorruptedCheckpoint(
            f"{path} begins like a checkpoint but cannot be read to the end ({type(error).__name__}: {error}). It is "
            "probably cut short or damaged: download or copy it again."
        ) from error


# The pickle itself


class _Storage:
    """Memory that tensors are cut from: `size` elements."""

    __slots__ = ("bytes", "dtype", "size")

    def __init__(self, memory: torch.UntypedStorage, dtype: torch.dtype, size: int) -> None:
        self.bytes, self.dtype, self.size = memory, dtype, size


class _Function:
    """A function of ours that a pickle may call: an object without attributes, so that a pickle cannot change it."""

    __slots__ = ()


class _RebuildTensor(_Function):
    """`torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
        if not isinstance(storage, _Storage):
            raise CorruptedCheckpoint("A tensor refers to no storage.")
        numbers = [offset, *shape, *strides]
        if len(shape) != len(strides) or not all(type(number) is int and number >= 0 for number in numbers):
            raise CorruptedCheckpoint(f"A tensor has the impossible shape {shape!r} with strides {strides!r}.")
        reach = (
            offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) + 1 if prod(shape) else offset
        )
        if reach > storage.size or prod(shape) > storage.size:
            raise CorruptedCheckpoint(
                f"A tensor of shape {tuple(shape)} reaches beyond its {storage.size} stored numbers."
            )
        return torch.empty(0, dtype=storage.dtype).set_(storage.bytes, offset, tuple(shape), tuple(strides))


class _RebuildParameter(_Function):
    """`torch._utils._rebuild_parameter` and `_rebuild_parameter_with_state`: the tensor inside."""

    __slots__ = ()

    def __call__(self, data: Any, *_: Any) -> Any:
        return data


class _MakeTuple(_Function):
    """`torch.Size`."""

    __slots__ = ()

    def __call__(self, items: Any = ()) -> tuple[Any, ...]:
        return tuple(items)


class _MakeDict(_Function):
    """`collections.defaultdict`, without its factory."""

    __slots__ = ()

    def __call__(self, *_: Any) -> dict[Any, Any]:
        return {}


class _Encode(_Function):
    """`_codecs.encode` of Latin-1, which is how bytes are pickled for Python 2."""

    __slots__ = ()

    def __call__(self, text: Any, encoding: Any = None) -> bytes:
        if isinstance(text, str) and encoding == "latin1":
            return text.encode("latin1")
        raise UnsafeCheckpoint("it calls _codecs.encode")


class _GetItem(_Function):
    """`operator.getitem`, which is how `typing.Optional[int]` is pickled; on stand-ins of `typing` only."""

    __slots__ = ()

    def __call__(self, origin: Any, *_: Any) -> Any:
        kind = origin if isinstance(origin, type) else type(origin)
        if issubclass(kind, StandIn) and kind.name.startswith("typing."):
            return origin
        raise UnsafeCheckpoint("it calls operator.getitem")


ALLOWED: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor"): _RebuildTensor(),
    ("torch._utils", "_rebuild_tensor_v2"): _RebuildTensor(),
    ("torch._utils", "_rebuild_parameter"): _RebuildParameter(),
    ("torch._utils", "_rebuild_parameter_with_state"): _RebuildParameter(),
    ("torch", "Size"): _MakeTuple(),
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): _MakeDict(),
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("_codecs", "encode"): _Encode(),
    ("_operator", "getitem"): _GetItem(),
    ("operator", "getitem"): _GetItem(),
    **{("torch", name): dtype for name, dtype in DTYPES.items()},
}


class _Unpickler(pickle.Unpickler):
    """A `pickle.Unpickler` that imports nothing: names resolve only to `ALLOWED` or to stand-ins."""

    def __init__(self, file: Any, storages: "_Storages") -> None:
        super().__init__(file)
        self.storages = storages
        self.stand_ins: dict[tuple[str, str], type[StandIn]] = {}

    def find_class(self, module: str, name: str) -> Any:
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))  # from Python 2
        if (module, name) in ALLOWED:
            return ALLOWED[module, name]
        if module in ("torch", "torch.storage", "torch.cuda") and name in STORAGES:
            return self._stand_in("torch", name)
        inert = module.partition(".")[0] in INERT_PACKAGES or any(
            module == known or module.startswith(f"{known}.") for known in INERT_MODULES
        )
        if inert or (module, name) in INERT_NAMES:
            return self._stand_in(module, name)
        if (module, name) in QUANTIZED:
            raise UnsupportedCheckpoint(
                f"its weights are quantized by PyTorch ({module}.{name}). sonant reads weights in floating point: load "
                "the original that was quantized, and give precision='int8' if integers of eight bits are wanted."
            )
        raise UnsafeCheckpoint(f"its pickle asks for {module}.{name}, which is no tensor and no plain setting")

    def persistent_load(self, identifier: Any) -> _Storage:
        if not isinstance(identifier, tuple) or len(identifier) not in (5, 6) or identifier[0] != "storage":
            raise CorruptedCheckpoint(f"The pickle refers to {identifier!r:.80}, which is no storage.")
        _, kind, key, _, size, *view = identifier
        name = getattr(kind, "name", "").removeprefix("torch.")
        if name not in STORAGES or not isinstance(key, str) or type(size) is not int or size < 0:
            raise CorruptedCheckpoint(f"The pickle refers to {identifier!r:.80}, which is no storage.")
        storage = self.storages.find(key, STORAGES[name], size)
        if not view or view[0] is None:
            return storage
        _, offset, length = view[0]
        if (
            not all(type(number) is int and number >= 0 for number in (offset, length))
            or offset + length > storage.size
        ):
            raise CorruptedCheckpoint(f"A view of storage {key!r} reaches beyond it.")
        width = storage.dtype.itemsize
        return _Storage(storage.bytes[offset * width : (offset + length) * width], storage.dtype, length)

    def _stand_in(self, module: str, name: str) -> type[StandIn]:
        if (
            module,
            name,
        ) not in self.stand_ins:  # made anew for each file: nothing a pickle does to a class outlives it
            self.stand_ins[module, name] = type("StandIn", (StandIn,), {"name": f"{module}.{name}"})
        return self.stand_ins[module, name]


class _Storages(ABC):
    """The source of the memory of tensors; one subclass for each layout of files."""

    @abstractmethod
    def find(self, key: str, dtype: torch.dtype, size: int) -> _Storage:
        """The storage of that name, which must hold `size` numbers of that type."""


def _load(file: Any, storages: _Storages, *, limit: int) -> Any:
    """Load one pickle from the file's current position, and leave the position right after it."""
    start = file.tell()
    for opcode, argument, _ in pickletools.genops(file):
        # An extension code skips find_class; a far memo index makes Python allocate without end.
        if opcode.name.startswith("EXT"):
            raise UnsafeCheckpoint(f"its pickle uses the extension code {argument}")
        if opcode.name in ("LONG_BINPUT", "PUT") and isinstance(argument, int) and argument > limit:
            raise CorruptedCheckpoint(f"The pickle numbers an object {argument}, with {limit} bytes in all.")
    file.seek(start)
    return _Unpickler(file, storages).load()


# The zip archive (torch 1.6 and later)


class _ZipStorages(_Storages):
    def __init__(self, path: Path, archive: zipfile.ZipFile, prefix: str) -> None:
        self.path, self.archive, self.prefix = path, archive, prefix
        self.size = path.stat().st_size
        self.mapped = torch.UntypedStorage.from_file(str(path), shared=False, nbytes=self.size)
        self.found: dict[str, _Storage] = {}

    def find(self, key: str, dtype: torch.dtype, size: int) -> _Storage:
        if key not in self.found:
            start, length = self._place(f"{self.prefix}data/{key}")
            if length != size * dtype.itemsize:
                raise CorruptedCheckpoint(f"Storage {key!r} holds {length} bytes, not {size} numbers of {dtype}.")
            memory = self.mapped[start : start + length]
            self.found[key] = _Storage(memory if start % dtype.itemsize == 0 else memory.clone(), dtype, size)
        found = self.found[key]
        if found.dtype != dtype or found.size != size:
            raise CorruptedCheckpoint(f"Storage {key!r} is used as two different types.")
        return found

    def _place(self, name: str) -> tuple[int, int]:
        """First byte and number of bytes of an entry inside the file."""
        entry = _entry(self.archive, name)
        with self.path.open("rb") as file:
            file.seek(entry.header_offset)
            header = file.read(30)
        if len(header) < 30 or header[:4] != b"PK\x03\x04":
            raise CorruptedCheckpoint(f"Entry {name!r} does not begin where the archive's index says.")
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        start = entry.header_offset + 30 + name_length + extra_length
        if start + entry.file_size > self.size:
            raise CorruptedCheckpoint(f"Entry {name!r} reaches beyond the end of the file.")
        return start, entry.file_size


def _entry(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    try:
        entry = archive.getinfo(name)
    except KeyError:
        raise CorruptedCheckpoint(f"The archive has no entry {name!r}.") from None
    if entry.compress_type != zipfile.ZIP_STORED:
        raise UnknownCheckpoint(f"Entry {name!r} is compressed, which torch.save never does; unpack the archive first.")
    return entry


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        roots = [name.removesuffix("data.pkl") for name in names if name.endswith("data.pkl") and name.count("/") <= 1]
        if len(roots) != 1:
            raise UnknownCheckpoint(
                f"{path} is a zip archive, but not one of torch.save: it has no data.pkl. Entries: "
                f"{', '.join(names[:5])}."
            )
        root = roots[0]
        if any(name == f"{root}constants.pkl" or name.startswith(f"{root}code/") for name in names):
            raise UnknownCheckpoint(
                f"{path} is a TorchScript program, not a set of weights. Save the state_dict() of the model instead."
            )
        order = f"{root}byteorder"
        if order in names and archive.read(_entry(archive, order)).decode("ascii", "replace") != sys.byteorder:
            raise UnknownCheckpoint(f"{path} was written on a machine with the other byte order; convert it there.")
        data = archive.read(_entry(archive, f"{root}data.pkl"))
        return _load(BytesIO(data), _ZipStorages(path, archive, root), limit=len(data))


# The single stream (before torch 1.6): five pickles, then the bytes of each storage


class _StreamStorages(_Storages):
    def __init__(self, limit: int) -> None:
        self.left = limit
        self.found: dict[str, _Storage] = {}

    def find(self, key: str, dtype: torch.dtype, size: int) -> _Storage:
        if key not in self.found:
            self.left -= size * dtype.itemsize
            if self.left < 0:
                raise CorruptedCheckpoint("The pickle names more numbers than the file has room for.")
            self.found[key] = _Storage(torch.UntypedStorage(size * dtype.itemsize), dtype, size)
        return self.found[key]

    def fill(self, file: BufferedReader, keys: list[str]) -> None:
        """Read the bytes behind the pickles, in the order of `keys`, straight into the storages.

        They are not mapped: behind pickles of any length, most files have no number at a multiple of its width.
        """
        if sorted(keys) != sorted(self.found):
            raise CorruptedCheckpoint("The list of storages is not that of the tensors.")
        for key in keys:
            storage = self.found[key]
            (size,) = struct.unpack("<q", file.read(8))
            if size != storage.size or file.readinto(_memory(storage)) != storage.bytes.nbytes():
                raise CorruptedCheckpoint(f"Storage {key!r} is cut short.")


def _memory(storage: _Storage) -> memoryview:
    """The bytes of a storage, to be written to."""
    return torch.empty(0, dtype=torch.uint8).set_(storage.bytes).numpy().data


def _read_stream(path: Path) -> Any:
    size = path.stat().st_size
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        storages = _StreamStorages(size)
        try:
            magic = _load(mapped, storages, limit=size)
        except CheckpointError:
            raise
        except (ValueError, pickle.UnpicklingError, EOFError, IndexError):
            magic = None  # some other pickle, or no pickle at all
        if magic != LEGACY_MAGIC:
            raise UnknownCheckpoint(f"{path} is not a file of torch.save: it begins with {mapped[:16]!r}.")
        version = _load(mapped, storages, limit=size)
        if version != LEGACY_VERSION:
            raise UnknownCheckpoint(
                f"{path} has version {version!r} of torch's old layout; only {LEGACY_VERSION} is known."
            )
        system = _load(mapped, storages, limit=size)
        if isinstance(system, dict) and not system.get("little_endian", True):
            raise UnknownCheckpoint(f"{path} was written on a machine with the other byte order; convert it there.")
        result = _load(mapped, storages, limit=size)
        keys = [str(key) for key in _load(mapped, storages, limit=size)]
        file.seek(mapped.tell())
        storages.fill(file, keys)
        return result
