"""Models optimized for inference: the results of the plain modules, by faster arithmetic.

The functions are fetched when first used: who only names a precision, as settings do, need not wait for torch.
"""

from typing import TYPE_CHECKING

from sonant.inference.precision import PRECISIONS, Precision

if TYPE_CHECKING:
    from sonant.inference.preparation import PreparedCopies, checked_precision, prepare

__all__ = ["PRECISIONS", "Precision", "PreparedCopies", "checked_precision", "prepare"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from sonant.inference import preparation

        return getattr(preparation, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
