"""Matrix products of float32 on a CPU by a C++ kernel (`products.cpp`), where it is faster than torch's."""

import ctypes
from functools import cache

import torch
from torch import Tensor, nn

from sonant.layers.kernels.compiled import compiled
from sonant.layers.kernels.tracing import is_traced

LEAST = 1 << 20  # multiplications; below, torch's product is used, and a thread gets no fewer


class _Matrix(ctypes.Structure):
    _fields_ = (("start", ctypes.c_void_p), ("row", ctypes.c_int64), ("column", ctypes.c_int64))


class _Product(ctypes.Structure):
    """`Product` in the C++ source, field by field."""

    _fields_ = (
        *((name, _Matrix) for name in ("left", "right")),
        *((name, ctypes.c_void_p) for name in ("bias", "to")),
        *((name, ctypes.c_int64) for name in ("to_row", "rows", "columns", "depth", "add")),
    )


def multiply(
    left: Tensor, right: Tensor, *, bias: Tensor | None = None, out: Tensor | None = None, add: bool = False
) -> Tensor:
    """Multiply matrices (rows, depth) and (depth, columns) of any strides, outside of autograd.

    Args:
        bias: (columns,), added to each row; not with `add`.
        out: (rows, columns), to write to, with contiguous rows.
        add: whether the product is added to `out`.

    Returns:
        `out`, or a new tensor (rows, columns). The same to the bit for any number of threads, by the kernel.
    """
    out = left.new_empty(len(left), right.shape[1]) if out is None else out
    work = len(left) * right.numel()
    if not gains(work) or not _served(left, right, out, *([] if bias is None else [bias])):
        if add:
            return out.addmm_(left, right)
        return torch.mm(left, right, out=out) if bias is None else torch.addmm(bias, left, right, out=out)
    library = compiled("products")
    assert library is not None
    bias = None if bias is None else bias.contiguous()
    product = _Product(
        *(_Matrix(x.data_ptr(), *x.stride()) for x in (left, right)),
        *(None if bias is None else bias.data_ptr(), out.data_ptr()),
        *(out.stride(0), *out.shape, left.shape[1], add),
    )
    library.sonant_product(ctypes.byref(product), ctypes.c_int64(min(torch.get_num_threads(), work // LEAST)))
    return out


def gains(multiplications: int) -> bool:
    """Return whether the kernel is faster than torch for a product of so many multiplications of numbers."""
    return multiplications >= LEAST and faster_than_torch()


@cache
def faster_than_torch() -> bool:
    """Return whether the kernel is faster than torch's products: where those are MKL's on a processor of AMD."""
    library = compiled("products") if torch.backends.mkl.is_available() else None
    return library is not None and bool(library.sonant_product_gains())


def _served(*tensors: Tensor) -> bool:
    """Return whether the kernel supports these tensors, the third of which it writes to."""
    return (
        not is_traced()
        and compiled("products") is not None
        and tensors[2].stride(1) == 1
        and all(
            type(x) in {Tensor, nn.Parameter} and x.dtype == torch.float32 and x.device.type == "cpu" for x in tensors
        )
    )
