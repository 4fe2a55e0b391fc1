"""Files of n-gram models: ARPA, KenLM's binaries, and a file of the tensors themselves."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sonant.data.files import as_path, atomic
from sonant.decoding.ngrams.arpa import read_arpa, write_arpa
from sonant.decoding.ngrams.kenlm import MAGIC, read_kenlm
from sonant.decoding.ngrams.model import BackOffModel, NgramModel
from sonant.decoding.ngrams.tables import Ngrams, ngram_model
from sonant.errors import CheckpointUnavailable, ConfigurationError, CorruptedCheckpoint, UnknownCheckpoint

FORMAT = "sonant n-gram 1"
NUMBERS = ("unknown", "begin", "end", "order")
TENSORS = tuple(field.name for field in fields(NgramModel) if field.name not in {"words", *NUMBERS})


def load_ngram_model(path: str | Path) -> BackOffModel:
    """Load an n-gram model, whose format is recognized by its contents.

    An ARPA file, plain or compressed by gzip, a file of KenLM's build_binary, or one of `save_ngram_model`.

    Raises:
        CheckpointUnavailable: there is no file.
        UnknownCheckpoint: in none of these formats.
        CorruptedCheckpoint: damaged or cut short.
    """
    path = as_path(path, "a language model").expanduser()
    if not path.is_file():
        raise CheckpointUnavailable(f"There is no file {path}; expected a language model: ARPA, or made by sonant lm.")
    with path.open("rb") as file:
        head = file.read(9)
    if head[8:9] == b"{":
        return _read_tensors(path)
    return read_kenlm(path) if head.startswith(MAGIC[:9]) else ngram_model(*read_arpa(path), source=str(path))


def save_ngrams(path: str | Path, ngrams: Ngrams) -> None:
    """Save n-grams as ARPA, .arpa or .arpa.gz, or as the tensors of a model, .safetensors.

    Raises ConfigurationError: another extension.
    """
    path = check_name(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_ngram_model(path, ngram_model(*ngrams, source=str(path)))
    else:
        write_arpa(path, ngrams)


def check_name(path: str | Path) -> Path:
    """Check the name of a file that is to be written, and return it as a path."""
    path = as_path(path, "a language model to be written")
    if path.name.endswith((".arpa", ".arpa.gz", ".safetensors")):
        return path
    raise ConfigurationError(f"{path} was given as the output; expected a name in .arpa, .arpa.gz or .safetensors.")


def save_ngram_model(path: str | Path, model: NgramModel) -> None:
    """Save a model as safetensors, which load at once."""
    words = np.frombuffer("\n".join(model.words).encode(), np.uint8).copy()
    tensors = {name: getattr(model, name).cpu().contiguous() for name in TENSORS}
    numbers = {name: str(getattr(model, name)) for name in NUMBERS}
    with atomic(Path(path)) as draft:
        save_file({**tensors, "words": torch.from_numpy(words)}, draft, {"format": FORMAT, **numbers})


def _read_tensors(path: Path) -> NgramModel:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise UnknownCheckpoint(
                    f"{path} is in safetensors, but no n-gram model of this version of sonant; expected an ARPA file, "
                    "or a file that sonant lm train or sonant lm convert made."
                )
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in TENSORS}
            words = file.get_tensor("words").numpy().tobytes().decode().split("\n")
    except SafetensorError as error:
        raise CorruptedCheckpoint(
            f"{path} cannot be read: {error}. It was probably cut short; fetch it again."
        ) from error
    unknown, begin, end, order = (int(metadata[name]) for name in NUMBERS)
    return NgramModel(words=words, unknown=unknown, begin=begin, end=end, order=order, **tensors)
