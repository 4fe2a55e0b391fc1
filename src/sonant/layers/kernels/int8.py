"""Quantization before, and dequantization after, a matrix product in int8 on a CPU.

Symmetric quantization with a scale for each row of the input and each column of the weight:

    x[i, k] = row_scales[i] * q[i, k],  row_scales[i] = max_k |x[i, k]| / 127,  q in -127 ... 127
    y[i, j] = sums[i, j] * row_scales[i] * column_scales[j] + bias[j],  sums exact in int32

Channels may first be multiplied by smoothing factors, by which the weights were divided
(`sonant.inference.cpu.smoothing`). Each function runs a compiled kernel (`int8.cpp`), or its plain reference where the
kernel is not available.
"""

import ctypes
from typing import NamedTuple

import torch
from torch import Tensor

from sonant.layers.kernels.activations import Activation, activation
from sonant.layers.kernels.compiled import compiled

LARGEST = 127
LEAST = 1e-30  # a row whose values are all smaller is quantized to zeros
ACTIVATIONS: tuple[Activation | None, ...] = (None, "relu", "gelu", "swish")  # numbered as in int8.cpp
FEW = 1 << 15  # number of values up to which one thread is used


class Int8Rows(NamedTuple):
    """Rows quantized to int8.

    Attributes:
        values: int8 (rows, width).
        scales: float32 (rows,); zero for a row of zeros, NaN for a row that is not finite.
    """

    values: Tensor
    scales: Tensor


class Sums(NamedTuple):
    """The int32 result of an int8 product, and what converts it to floats.

    Attributes:
        sums: int32 (rows, width).
        row_scales: float32 (rows,).
        column_scales: float32 (width,).
        bias: float32 (width,), added after scaling.
        activation: applied last.
    """

    sums: Tensor
    row_scales: Tensor
    column_scales: Tensor
    bias: Tensor
    activation: Activation | None


def quantize(x: Tensor, factors: Tensor | None = None) -> Int8Rows:
    """Quantize rows (rows, width) of float32 or bfloat16, each with its own scale.

    Args:
        factors: float32 (width,), multiplied with the channels before.
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
    """Reference of `quantize`, equal to the bit."""
    x = x.float() if factors is None else x.float() * factors
    top = x.abs().amax(1) if x.shape[1] else x.new_zeros(len(x))
    finite = top.isfinite()
    # a tensor: a Python scalar divided by `top` would be rounded twice
    inverse = torch.where(finite & (top >= LEAST), top.new_tensor(LARGEST) / top, 0.0)
    scales = torch.where(top < LEAST, 0.0, top / LARGEST).where(finite, torch.nan)
    steps = (x * inverse[:, None]).round()  # ties to even
    return Int8Rows(steps.where((inverse > 0)[:, None], 0.0).to(torch.int8), scales)


def dequantize(given: Sums, dtype: torch.dtype) -> Tensor:
    """Convert to floats (rows, width), float32 or bfloat16."""
    library = compiled("int8")
    if library is None or given.sums.device.type != "cpu":
        return dequantize_reference(given, dtype)
    made = torch.empty(given.sums.shape, dtype=dtype)
    run = library.sonant_dequantize_float32 if dtype == torch.float32 else library.sonant_dequantize_bfloat16
    run(_arguments(given), _address(made))
    return made


def dequantize_reference(given: Sums, dtype: torch.dtype) -> Tensor:
    """Reference of `dequantize`, equal to 1e-6 of the largest value before rounding."""
    scales = given.row_scales[:, None] * given.column_scales
    y = given.sums * scales + given.bias
    return (y if given.activation is None else activation(given.activation)(y)).to(dtype)


def requantize(given: Sums, factors: Tensor | None = None) -> Int8Rows:
    """Dequantize and quantize again in one pass; `factors` as in `quantize`."""
    library = compiled("int8")
    if library is None or given.sums.device.type != "cpu":
        return requantize_reference(given, factors)
    made = _empty(given.sums)
    library.sonant_requantize(_arguments(given), _address(factors), *map(_address, made))
    return made


def requantize_reference(given: Sums, factors: Tensor | None = None) -> Int8Rows:
    """Reference of `requantize`; values half way between two steps may differ by one step."""
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
