"""Models readied for inference: the results of the plain modules, by faster arithmetic."""

from sonant.inference.precision import PRECISIONS, Precision

__all__ = ["PRECISIONS", "Precision"]
