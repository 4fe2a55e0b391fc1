"""Optimization of models for inference: the results of the plain modules, by faster arithmetic.

Functions are imported when first used, so that a precision can be named without importing torch.
"""

from typing import TYPE_CHECKING

from sonant.inference.precision import PRECISIONS, Precision

if TYPE_CHECKING:
    from sonant.inference.optimization import OptimizedCopies, checked_precision, optimize

__all__ = ["PRECISIONS", "OptimizedCopies", "Precision", "checked_precision", "optimize"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from sonant.inference import optimization

        return getattr(optimization, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
