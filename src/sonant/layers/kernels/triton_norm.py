"""Sum, layer norm and GELU of rows in one pass on a GPU, in Triton, without gradients.

As separate operations each is a pass over memory, as slow as a matrix product. Reference: `norm_reference`.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.layers.kernels.device import current_device
from sonant.layers.kernels.triton_blocks import serves

ELEMENTS = 4096  # of a program
MAX_DIM = 8192

Kept = Literal["sum", "norm"]


def norm_rows(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    dtype: torch.dtype,
    *,
    added: Tensor | None = None,
    gelu: bool = False,
    kept: Kept | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Layer norm of `x + added`, then GELU, all in float32.

    Args:
        x, added: (rows, dim).
        weight, bias: (dim,) of the norm, float32; None skips the norm.
        dtype: of the result.
        kept: a second result, in float32: the sum, or the norm.

    Returns:
        The result (rows, dim), and the second result or None.
    """
    if serves(x.device) and x.shape[1] <= MAX_DIM:
        return norm_triton(x, weight, bias, eps, dtype, added=added, gelu=gelu, kept=kept)
    return norm_reference(x, weight, bias, eps, dtype, added=added, gelu=gelu, kept=kept)


def norm_triton(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    dtype: torch.dtype,
    *,
    added: Tensor | None = None,
    gelu: bool = False,
    kept: Kept | None = None,
) -> tuple[Tensor, Tensor | None]:
    """`norm_rows` by the Triton kernel."""
    from sonant.layers.kernels.triton_programs import norm

    num_rows, dim = x.shape
    x, added = x.contiguous(), None if added is None else added.contiguous()
    narrow = x.new_empty(x.shape, dtype=dtype)
    wide = None if kept is None else x.new_empty(x.shape, dtype=torch.float32)
    width = 1 << (dim - 1).bit_length()
    rows = max(1, ELEMENTS // width)
    with current_device(x.device):
        norm[-(-num_rows // rows),](
            x, added, weight, bias, wide, narrow, num_rows, eps,
            DIM=dim, WIDTH=width, NORM=weight is not None, GELU=gelu, KEPT=kept or "", ROWS=rows, num_warps=4,
        )  # fmt: skip
    return narrow, wide


def norm_reference(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    dtype: torch.dtype,
    *,
    added: Tensor | None = None,
    gelu: bool = False,
    kept: Kept | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Compute the reference for `norm_rows`."""
    total = x.float() if added is None else x.float() + added
    result = total if weight is None else F.layer_norm(total, weight.shape, weight, bias, eps)
    result = F.gelu(result) if gelu else result
    return result.to(dtype), {"sum": total, "norm": result, None: None}[kept]
