"""Files of `torch.save`: the zip archive, whose tensors are memory-mapped, and the older stream."""

import mmap
import pickle
import struct
import sys
import zipfile
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

import torch

from sonant.checkpoints.unpickle import Storage, load
from sonant.errors import (
    CheckpointError,
    CorruptedCheckpoint,
    UnknownCheckpoint,
    UnsafeCheckpoint,
    UnsupportedCheckpoint,
)

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # torch.serialization.MAGIC_NUMBER
LEGACY_VERSION = 1001


def read_pickle(path: Path) -> Any:
    """Return the object in a file of `torch.save`: containers, tensors on the CPU, stand-ins.

    Raises:
        UnsafeCheckpoint: the pickle needs anything else; no code was run.
        CorruptedCheckpoint: damaged or truncated.
        UnknownCheckpoint: another type of file.
        UnsupportedCheckpoint: tensors quantized by PyTorch.
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
            "or it is malicious."
        ) from None
    except CorruptedCheckpoint as error:
        raise CorruptedCheckpoint(f"{path} is damaged: {error} Download or copy it again.") from None
    except UnsupportedCheckpoint as error:
        raise UnsupportedCheckpoint(f"{path}: {error}") from None
    except CheckpointError:
        raise
    except Exception as error:  # a damaged pickle can raise almost any error
        raise CorruptedCheckpoint(
            f"{path} begins like a checkpoint but cannot be read to the end ({type(error).__name__}: {error}). It is "
            "probably cut short or damaged: download or copy it again."
        ) from error


# The zip archive (torch 1.6 and later)


class _ZipStorages:
    def __init__(self, path: Path, archive: zipfile.ZipFile, prefix: str) -> None:
        self.path, self.archive, self.prefix = path, archive, prefix
        self.size = path.stat().st_size
        self.mapped = torch.UntypedStorage.from_file(str(path), shared=False, nbytes=self.size)
        self.found: dict[str, Storage] = {}
        self.copied = 0  # bytes of storages that are not aligned and so were copied

    def find(self, key: str, dtype: torch.dtype, size: int) -> Storage:
        if key not in self.found:
            start, length = self._place(f"{self.prefix}data/{key}")
            if length != size * dtype.itemsize:
                raise CorruptedCheckpoint(f"Storage {key!r} holds {length} bytes, not {size} numbers of {dtype}.")
            memory = self.mapped[start : start + length]
            if start % dtype.itemsize:
                self.copied += length
                if self.copied > self.size:
                    raise CorruptedCheckpoint("Its entries overlap: they hold more bytes than the file.")
                memory = memory.clone()
            self.found[key] = Storage(memory, dtype, size)
        found = self.found[key]
        if found.dtype != dtype or found.size != size:
            raise CorruptedCheckpoint(f"Storage {key!r} is used as two different types.")
        return found

    def _place(self, name: str) -> tuple[int, int]:
        """Return offset and size of an entry in the file."""
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
        return load(BytesIO(data), _ZipStorages(path, archive, root), limit=len(data))


# The stream (before torch 1.6): five pickles, then the bytes of each storage


class _StreamStorages:
    def __init__(self, limit: int) -> None:
        self.left = limit
        self.found: dict[str, Storage] = {}

    def find(self, key: str, dtype: torch.dtype, size: int) -> Storage:
        if key not in self.found:
            self.left -= size * dtype.itemsize
            if self.left < 0:
                raise CorruptedCheckpoint("The pickle names more numbers than the file has room for.")
            self.found[key] = Storage(torch.UntypedStorage(size * dtype.itemsize), dtype, size)
        return self.found[key]

    def fill(self, file: BufferedReader, keys: list[str]) -> None:
        """Read the bytes after the pickles, in the order of `keys`, into the storages.

        They are not memory-mapped, because they are rarely aligned.
        """
        if sorted(keys) != sorted(self.found):
            raise CorruptedCheckpoint("The list of storages is not that of the tensors.")
        for key in keys:
            storage = self.found[key]
            (size,) = struct.unpack("<q", file.read(8))
            if size != storage.size or file.readinto(_memory(storage)) != storage.memory.nbytes():
                raise CorruptedCheckpoint(f"Storage {key!r} is cut short.")


def _memory(storage: Storage) -> memoryview:
    """Return the bytes of a storage, writable."""
    return torch.empty(0, dtype=torch.uint8).set_(storage.memory).numpy().data


def _read_stream(path: Path) -> Any:
    size = path.stat().st_size
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        storages = _StreamStorages(size)
        try:
            magic = load(mapped, storages, limit=size)
        except CheckpointError:
            raise
        except (ValueError, pickle.UnpicklingError, EOFError, IndexError):
            magic = None  # another pickle, or none
        if magic != LEGACY_MAGIC:
            raise UnknownCheckpoint(f"{path} is not a file of torch.save: it begins with {mapped[:16]!r}.")
        version = load(mapped, storages, limit=size)
        if version != LEGACY_VERSION:
            raise UnknownCheckpoint(
                f"{path} has version {version!r} of torch's old layout; only {LEGACY_VERSION} is known."
            )
        system = load(mapped, storages, limit=size)
        if isinstance(system, dict) and not system.get("little_endian", True):
            raise UnknownCheckpoint(f"{path} was written on a machine with the other byte order; convert it there.")
        result = load(mapped, storages, limit=size)
        keys = [str(key) for key in load(mapped, storages, limit=size)]
        file.seek(mapped.tell())
        storages.fill(file, keys)
        return result
