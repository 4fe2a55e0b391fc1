"""The passes before and after a product of integers of eight bits, on a CPU.

Each row is written in steps of its own, the largest magnitude in it being 127 of them: x = scale * values, values from
-127 to 127. So are the columns of a weight. A product of both is a sum of integers, exact, times two scales. Channels
may be multiplied by factors first, where the weights have been divided by them (`sonant.inference.int8.smoothing`).

Each function is one pass of a compiled kernel (`int8.cpp`), or, where that cannot be had, its plain reference.
"""

import ctypes
from typing import NamedTuple

import torch
from torch import Tensor

from sonant.layers.kernels.activations import Activation, activation
from sonant.layers.kernels.compiled import compiled

LARGEST = 127
LEAST = 1e-30  # a row whose values are all smaller counts as zeros
ACTIVATIONS: tuple[Activation | None, ...] = (None, "relu", "gelu", "swish")  # as numbered in the source
FEW = 1 << 15  # values that are not worth a second thread


class Int8Rows(NamedTuple):
    """Rows of integers, each row with a scale of its own.

    Attributes:
        values: int8 (rows, width).
        scales: float32 (rows,), the size of a step; zero for a row of zeros, NaN for a row that is not finite.
    """

    values: Tensor
    scales: Tensor


class Sums(NamedTuple):
    """Sums of products of integers, and what is needed to convert them to floats.

    Attributes:
        sums: int32 (rows, width).
        row_scales: float32 (rows,).
        column_scales: float32 (width,).
        bias: float32 (width,), added behind the scales.
        activation: applied last.
    """

    sums: Tensor
    row_scales: Tensor
    column_scales: Tensor
    bias: Tensor
    activation: Activation | None


def quantize(x: Tensor, factors: Tensor | None = None) -> Int8Rows:
    """Round each row (rows, width), in float32 or bfloat16, to steps of its own.

    Args:
        factors: float32 (width,), by which the channels are multiplied before.
    """
    library = compiled("int8")
    if library is None or x.dtype not in {torch.float32, torch.bfloat16} or x.device.type != "cpu":
        return quantize_reference(x, factors)
    x = x if x.stride(-1) == 1 else x.contiguous()
    made = _empty(x)
    run = library.sonant_quantize_float32 if x.dtype == torch.float32 else library.sonant_quantize_bfloat16
    sizes = (ctypes.c_int64(size) for size in (*x.shape, x.stride(0)))
    run(_address(x), _address(factors), *sizes, *map(_address, made), _threads(x))
    return made


def quantize_reference(x: Tensor, factors: Tensor | None = None) -> Int8Rows:
    """The plain form of `quantize`, equal to the bit."""
    x = x.float() if factors is None else x.float() * factors
    top = x.abs().amax(1) if x.shape[1] else x.new_zeros(len(x))
    finite = top.isfinite()
    # a tensor, as a scalar over `top` is rounded twice
    inverse = torch.where(finite & (top >= LEAST), top.new_tensor(LARGEST) / top, 0.0)
    scales = torch.where(top < LEAST, 0.0, top / LARGEST).where(finite, torch.nan)
    steps = (x * inverse[:, None]).round()  # ties to even
    return Int8Rows(steps.where((inverse > 0)[:, None], 0.0).to(torch.int8), scales)


def dequantize(given: Sums, dtype: torch.dtype) -> Tensor:
    """The numbers (rows, width), in float32 or bfloat16."""
    library = compiled("int8")
    if library is None or given.sums.device.type != "cpu":
        return dequantize_reference(given, dtype)
    made = torch.empty(given.sums.shape, dtype=dtype)
    run = library.sonant_dequantize_float32 if dtype == torch.float32 else library.sonant_dequantize_bfloat16
    run(_arguments(given), _address(made))
    return made


def dequantize_reference(given: Sums, dtype: torch.dtype) -> Tensor:
    """The plain form of `dequantize`, equal to 1e-6 of the largest number before it is rounded."""
    scales = given.row_scales[:, None] * given.column_scales
    y = given.sums * scales + given.bias
    return (y if given.activation is None else activation(given.activation)(y)).to(dtype)


def requantize(given: Sums, factors: Tensor | None = None) -> Int8Rows:
    """The numbers in steps of their own again, without ever being written down; `factors` as for `quantize`."""
    library = compiled("int8")
    if library is None or given.sums.device.type != "cpu":
        return requantize_reference(given, factors)
    made = _empty(given.sums)
    library.sonant_requantize(_arguments(given), _address(factors), *map(_address, made))
    return made


def requantize_reference(given: Sums, factors: Tensor | None = None) -> Int8Rows:
    """The plain form of `requantize`, equal but for a step where a number lies half way between two."""
    return quantize_reference(dequantize_reference(given, torch.float32), factors)


class _Sums(ctypes.Structure):
    """`Sums` in the C++ source, field by field."""

    _fields_ = (
        ("sums", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("rows", "width")),
        *((name, ctypes.c_void_p) for name in ("row_scales", "column_scales", "bias")),
        *((name, ctypes.c_int32) for name in ("activation", "threads")),
    )


def _arguments(given: Sums) -> object:
    tensors = (given.row_scales, given.column_scales, given.bias)
    threads = _threads(given.sums)
    number = ACTIVATIONS.index(given.activation)
    return ctypes.byref(
        _Sums(given.sums.data_ptr(), *given.sums.shape, *(x.data_ptr() for x in tensors), number, threads.value)
    )


def _address(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


def _threads(tensor: Tensor) -> ctypes.c_int32:
    return ctypes.c_int32(torch.get_num_threads() if tensor.numel() > FEW else 1)


def _empty(like: Tensor) -> Int8Rows:
    return Int8Rows(torch.empty(like.shape, dtype=torch.int8), torch.empty(len(like)))
