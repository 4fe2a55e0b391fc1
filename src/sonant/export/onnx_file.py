"""Export of a backbone to ONNX: waveforms and lengths in, hidden states out."""

import logging
import os
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sonant.errors import MissingExtra
from sonant.export.check import Graph, compare
from sonant.export.padded_head import ExportableHead, head_facts
from sonant.export.program import INPUTS, Exported, Traceable, facts_of, staged, trace, traceable
from sonant.export.quantize import demand_feed_forward, quantize_feed_forward
from sonant.models import Backbone

if TYPE_CHECKING:
    import onnx_ir

OPSET = 20  # the first opset with GELU


def to_onnx(
    backbone: Backbone,
    path: str | os.PathLike[str],
    *,
    head: ExportableHead | None = None,
    notes: Mapping[str, Any] = MappingProxyType({}),
    layers: Collection[int | str] | None = ("last",),
    normalize: bool = True,
    int8: bool = False,
    overwrite: bool = False,
) -> Exported:
    """Write a backbone as an ONNX file, and compare it with the model in onnxruntime.

    The graph takes `waveforms`, float32 (batch, samples), and `lengths`, int64 (batch,), and returns the outputs of
    `PaddedBackbone.forward`. Weights of more than 2 GB are written to a second file.

    Args:
        head: a CTC head or one for labels of whole clips (see `is_exportable`), whose "logits" the graph gives too.
        notes: of the head in its checkpoint, of which the file gets the labels.
        layers: the states to return: numbers 0 to num_layers, or "last"; None: all.
        normalize: whether the graph normalizes waveforms, for a model that requires it.
        int8: whether feed-forward layers are int8.
        overwrite: replace the file if it exists.

    Raises:
        MissingExtra: onnx, onnxruntime or onnxscript is not installed.
        ConfigurationError: the family cannot be exported, `path` is taken, or int8 is requested for a model
            without feed-forward layers.
        ExportError: the graph does not agree with the model; nothing was written.
    """
    _demand_packages()
    if int8:
        demand_feed_forward(backbone)
    model = traceable(backbone, head, layers, normalize=normalize)
    facts = facts_of(backbone, model) | head_facts(notes)
    with staged(path, overwrite=overwrite) as staging:
        _write(model, staging, facts, int8=int8)
        outputs, graph = open_onnx(staging)
        agreement = compare(graph, backbone, head, normalize=normalize)
        agreement.demand(int8=int8)
        del graph
        names = [file.name for file in staging.parent.iterdir()]
        size = sum(file.stat().st_size for file in staging.parent.iterdir())
    target = Path(path).expanduser()
    files = tuple(target.parent / name for name in sorted(names))
    return Exported(target, files, size, "onnx", int8, outputs, facts, agreement)


def open_onnx(path: Path) -> tuple[tuple[str, ...], Graph]:
    """Return the output names of a file, and a function of tensors that runs it by onnxruntime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = tuple(output.name for output in session.get_outputs())

    def run(waveforms: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        given = dict(zip(INPUTS, (waveforms.numpy(), lengths.numpy()), strict=True))
        return dict(zip(names, map(torch.from_numpy, session.run(None, given)), strict=True))

    return names, run


def _write(backbone: Traceable, path: Path, facts: dict[str, str], *, int8: bool) -> None:
    with _quiet():
        program = torch.onnx.export(
            trace(backbone),
            input_names=list(INPUTS),
            output_names=list(backbone.outputs),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model
    model.producer_name = "sonant"
    model.metadata_props.update(facts)
    if int8:
        quantize_feed_forward(model)
    for node in model.graph.all_nodes():
        node.metadata_props.clear()  # source locations, with paths of this machine
    _name_axes(model)
    program.save(path)


def _name_axes(model: "onnx_ir.Model") -> None:
    """Name the dynamic axes of the outputs, for which the exporter writes formulae."""
    for output in model.graph.outputs:
        assert output.shape is not None
        output.shape[0] = "batch"
        if len(output.shape) > 2:  # logits of whole clips have no frames
            output.shape[1] = "frames"


def _demand_packages() -> None:
    for package in ("onnx", "onnxruntime", "onnxscript"):
        try:
            __import__(package)
        except ImportError as error:
            raise MissingExtra(package, extra="export", purpose="Writing ONNX") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the log messages and warnings of torch's exporter."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
