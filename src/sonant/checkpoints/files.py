"""File access shared by all formats: file types, tensors, JSON, atomic replacement."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sonant.checkpoints.checkpoint import own_storage
from sonant.checkpoints.stand_ins import StandIn
from sonant.checkpoints.torch_files import read_pickle
from sonant.checkpoints.wrappers import tensors_in
from sonant.data.files import atomic
from sonant.errors import CorruptedCheckpoint, UnknownCheckpoint

Kind = Literal["safetensors", "pickle"]


def kind_of(path: Path) -> Kind:
    """Return the type of a file of weights, by its first bytes.

    Raises:
        CorruptedCheckpoint: the file is empty.
        UnknownCheckpoint: another type of file, named in the message if recognized.
    """
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        raise CorruptedCheckpoint(f"{path} is empty; the download or copy has failed. Fetch it again.")
    # safetensors first: their initial length may look like the magic number of another type.
    if len(start) > 9 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= path.stat().st_size:
        return "safetensors"
    if start.startswith((b"PK", b"\x80")):
        return "pickle"
    if len(start) > 9 and start[8:9] == b"{":
        raise CorruptedCheckpoint(
            f"{path} looks like safetensors, but its header claims {int.from_bytes(start[:8], 'little')} bytes and the "
            f"file has {path.stat().st_size}: it is damaged or cut short. Download or copy it again."
        )
    raise UnknownCheckpoint(f"{path} is not a checkpoint that we know: {_looks_like(start)}")


def _looks_like(start: bytes) -> str:
    text = start.lstrip().lower()
    if text.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, a note in place of the file. Run `git lfs pull` where it was cloned."
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page, probably the error message of a failed download. Fetch it again."
    if text.startswith((b"{", b"[")):
        return "it is JSON. Give the folder that it lies in, or the file of weights."
    if start.startswith(b"\x1f\x8b") or start[257:262] == b"ustar":
        return "it is an archive. Unpack it first."
    return (
        f"it begins with {start[:16]!r}. Expected safetensors, or what torch.save writes "
        "(from transformers, unilm, fairseq, torchaudio or s3prl)."
    )


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file, memory-mapped, and its metadata."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, ValueError, RuntimeError, OverflowError) as error:
        raise CorruptedCheckpoint(
            f"{path} is not whole safetensors ({error}): it is damaged or cut short. Download or copy it again."
        ) from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors by name of a safetensors file, or of a pickle with one or several state dicts."""
    if kind_of(path) == "safetensors":
        return read_safetensors(path)[0]
    state = read_pickle(path)
    tensors = tensors_in(state)
    if not tensors:
        raise UnknownCheckpoint(f"{path} holds {described(state)}, and no tensors in it that have names.")
    return tensors


def described(state: Any) -> str:
    """Describe an unpickled object for messages: its type, or the keys of a dict."""
    if isinstance(state, Mapping):
        kinds = sorted({_type_of(value) for value in state.values()})[:4]
        keys = ", ".join(map(repr, list(state)[:8]))
        return f"a dict with the keys {keys} and values of type {', '.join(kinds)}" if state else "an empty dict"
    return f"an object of type {_type_of(state)}"


def _type_of(value: Any) -> str:
    return value.name if isinstance(value, StandIn) else type(value).__name__


def only_tensors(state: Any, source: object) -> dict[str, Tensor]:
    """Return a state dict as it is; raise UnknownCheckpoint for any other object."""
    if not isinstance(state, Mapping) or not state:
        raise UnknownCheckpoint(f"{source} holds no state dict but an object of type {type(state).__name__}.")
    unexpected = [
        str(name) for name, value in state.items() if not (isinstance(name, str) and isinstance(value, Tensor))
    ]
    if unexpected:
        raise UnknownCheckpoint(
            f"{source} is no plain state dict: besides tensors it holds {', '.join(unexpected[:8])}. Expected the "
            "weights of transformers or torchaudio, or a checkpoint of unilm, fairseq or s3prl."
        )
    return dict(state)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        value = json.loads(path.read_bytes())  # bytes: json detects UTF-8, 16 and 32
    except (ValueError, RecursionError) as error:
        raise CorruptedCheckpoint(
            f"{path} is not JSON ({error}): it is damaged, cut short or changed by hand. Mend it or fetch it again."
        ) from error
    if not isinstance(value, dict):
        raise CorruptedCheckpoint(f"{path} holds a JSON {type(value).__name__}; expected an object with settings.")
    return value


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    with atomic(path) as draft:
        draft.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> None:
    with atomic(path) as draft:
        save_file(own_storage(tensors), draft, metadata=dict(notes))


def write_pickle(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as draft, draft.open("wb") as file:  # by a file of Python, whose errors say that a disk is full
        torch.save(value, file)
