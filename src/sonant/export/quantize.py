"""Multiplies the feed-forward layers of an ONNX graph in integers of eight bits."""

from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from sonant.errors import ConfigurationError, ExportError
from sonant.layers.transformer import FeedForward

if TYPE_CHECKING:
    import onnx_ir

BLOCK = 128  # weights, and numbers of a frame, that share a scale; smaller is more exact, and slower
ZERO = 128  # the integer that stands for zero
SCOPES = "pkg.torch.onnx.name_scopes"  # where torch's exporter notes which module a node comes from
DOMAIN = "com.microsoft"  # onnxruntime's own operators


def quantize_feed_forward(model: "onnx_ir.Model") -> None:
    """Replace, in place, every product with a weight of a feed-forward layer.

    The operator (onnxruntime's `MatMulNBits`, with accuracy level 4) scales each block of each frame by itself, so that
    a clip's result does not depend on its batch mates; one scale for a whole tensor, which is the usual way, makes it.

    Raises:
        ExportError: none was found.
    """
    import onnx_ir

    found = 0
    for node in model.graph:
        weight = node.inputs[1].const_value if node.op_type == "MatMul" and node.inputs[1] is not None else None
        if weight is None or "feed_forward" not in node.metadata_props.get(SCOPES, ""):
            continue
        integers, scales = quantized(weight.numpy())
        name, before = weight.name, node.inputs[1]
        node.domain, node.op_type = DOMAIN, "MatMulNBits"
        inner, outer = weight.numpy().shape
        for key, number in {"K": inner, "N": outer, "bits": 8, "block_size": BLOCK, "accuracy_level": 4}.items():
            node.attributes.add(onnx_ir.AttrInt64(key, number))
        node.resize_inputs(3)
        for place, (suffix, array) in enumerate({"integers": integers, "scales": scales}.items(), start=1):
            value = onnx_ir.val(f"{name}_{suffix}", const_value=onnx_ir.tensor(array, name=f"{name}_{suffix}"))
            model.graph.register_initializer(value)
            node.replace_input_with(place, value)
        if before is not None and before.name is not None and not before.uses():
            del model.graph.initializers[before.name]
        found += 1
    if not found:
        raise ExportError("No feed-forward layer was found in the graph, to be written in int8; please report it.")
    model.opset_imports[DOMAIN] = 1


def demand_feed_forward(backbone: nn.Module) -> None:
    """Raise ConfigurationError if there is nothing that `quantize_feed_forward` would replace."""
    if not any(isinstance(part, FeedForward) for part in backbone.modules()):
        raise ConfigurationError("int8 is for feed-forward layers, and this model has none; export it without.")


def quantized(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A weight in blocks along its inputs, symmetric about `ZERO`.

    Args:
        weight: float32 (inputs, outputs).

    Returns:
        uint8 (outputs, blocks, BLOCK) and scales float32 (outputs, blocks): weight is about (integer - ZERO) * scale.
    """
    inputs, outputs = weight.shape
    blocks = -(-inputs // BLOCK)
    rows = np.zeros((outputs, blocks * BLOCK), np.float32)
    rows[:, :inputs] = weight.T
    rows = rows.reshape(outputs, blocks, BLOCK)
    scales = np.abs(rows).max(2) / 127
    integers = np.round(rows / np.maximum(scales, np.finfo(np.float32).tiny)[..., None]) + ZERO
    return integers.astype(np.uint8), scales
