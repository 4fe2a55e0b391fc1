"""Models readied for inference: the results of the plain modules, by faster arithmetic."""

from sonant.inference.precision import PRECISIONS, Precision
from sonant.inference.preparation import PreparedCopies, prepare

__all__ = ["PRECISIONS", "Precision", "PreparedCopies", "prepare"]
