"""Traces a padded model into a graph for any number of clips of any length, and puts files in their place."""

import os
import shutil
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from sonant.errors import ConfigurationError
from sonant.export.check import Agreement
from sonant.export.padded_head import ExportableHead, PaddedWithHead
from sonant.inference.padded_backbones import PaddedBackbone, padded
from sonant.models import Backbone
from sonant.models.families import family_of

INPUTS = ("waveforms", "lengths")


@dataclass(frozen=True)
class Exported:
    """A graph that was written, read back and compared with its model.

    Attributes:
        path: the file to load; `files` are all files, of `num_bytes` in total.
        outputs: names in order.
        facts: metadata in the file: family, rates, width, whether the graph normalizes waveforms.
        agreement: with the packed model.
    """

    path: Path
    files: tuple[Path, ...]
    num_bytes: int
    format: Literal["onnx", "torch"]
    int8: bool
    outputs: tuple[str, ...]
    facts: dict[str, str]
    agreement: Agreement


Traceable = PaddedBackbone | PaddedWithHead


def traceable(
    backbone: Backbone, head: ExportableHead | None, layers: Collection[int | str] | None, *, normalize: bool
) -> Traceable:
    """Return a padded model, with a head if one is given."""
    if head is None:
        return padded(backbone, layers=layers, normalize=normalize)
    return PaddedWithHead(backbone, head, layers, normalize=normalize)


def example(model: Traceable) -> tuple[Tensor, Tensor]:
    """Two clips of different lengths: waveforms (2, samples) and lengths (2,)."""
    samples = 2 * model.receptive_field + 4_000
    return torch.zeros(2, samples), torch.tensor([samples, samples - 1_000])


def trace(model: Traceable) -> ExportedProgram:
    """The graph of a model, for one clip or more, the longest of at least one frame."""
    batch, samples = Dim("batch", min=1), Dim("samples", min=model.receptive_field)
    shapes = {"waveforms": {0: batch, 1: samples}, "lengths": {0: batch}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of torch about its own code
        program = torch.export.export(
            model,
            example(model),
            dynamic_shapes=shapes,
            strict=False,
            prefer_deferred_runtime_asserts_over_guards=True,  # length 1 is not special
        )
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # contains paths of this machine
    return program


def facts_of(backbone: Backbone, model: Traceable) -> dict[str, str]:
    """Return what the user of a graph must know of its model; kept inside the file."""
    epsilon = f"{backbone.normalize_epsilon:g} added to the variance"
    wanted = f"by the graph, {epsilon}" if model.normalize else f"by the caller: zero mean and unit variance, {epsilon}"
    return {
        "family": family_of(backbone.config).title,
        "sampling_rate": str(backbone.sampling_rate),
        "frame_rate": f"{backbone.frame_rate:g}",
        "receptive_field": str(backbone.receptive_field),
        "stride": str(backbone.stride),
        "dim": str(backbone.dim),
        "normalize": wanted if backbone.normalize else "no",
        "producer": f"sonant {version('sonant')}",
    }


@contextmanager
def staged(path: str | os.PathLike[str], *, overwrite: bool) -> Iterator[Path]:
    """Yield a path of the same name in a temporary folder; the files there are moved to their place on success.

    Raises:
        ConfigurationError: the file exists and `overwrite` is not set, or is a folder.
    """
    target = Path(path).expanduser()
    if target.is_dir():
        raise ConfigurationError(f"{target} is a folder; a graph is one file. Name it, as in {target / 'model.onnx'}.")
    if target.exists() and not overwrite:
        raise ConfigurationError(f"{target} exists. Choose another name, or allow it to be replaced with overwrite.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=".exporting-") as folder:
        yield Path(folder) / target.name
        for file in Path(folder).iterdir():
            shutil.move(file, target.parent / file.name)
