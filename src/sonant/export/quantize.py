"""Int8 quantization of the feed-forward layers of an ONNX graph."""

from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from sonant.errors import ConfigurationError, ExportError
from sonant.layers.transformer import FeedForward

if TYPE_CHECKING:
    import onnx_ir

BLOCK = 128  # values of a block, which has one scale; smaller is more accurate and slower
ZERO = 128  # zero point
SCOPES = "pkg.torch.onnx.name_scopes"  # metadata of the exporter of torch with the module of a node
DOMAIN = "com.microsoft"  # domain of the operators of onnxruntime


def quantize_feed_forward(model: "onnx_ir.Model") -> None:
    """Replace, in place, every product with a weight of a feed-forward layer.

    The operator (`MatMulNBits` of onnxruntime, accuracy level 4) has a scale for each block of each frame, so that the
    result of a clip does not depend on the batch; with the usual single scale for a tensor it would.

    Raises:
        ExportError: no such product.
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
    """Raise ConfigurationError if the model has no feed-forward layers to quantize."""
    if not any(isinstance(part, FeedForward) for part in backbone.modules()):
        raise ConfigurationError("int8 is for feed-forward layers, and this model has none; export it without.")


def quantized(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantize a weight in blocks along its inputs, symmetric about `ZERO`.

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
