"""Export of models to graphs that run without this package: ONNX and `torch.export`, on padded batches."""

from sonant.export.onnx_file import to_onnx
from sonant.export.padded_head import is_exportable
from sonant.export.program import Exported
from sonant.export.torch_program import to_torch

__all__ = ["Exported", "is_exportable", "to_onnx", "to_torch"]
