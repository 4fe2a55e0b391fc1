"""Attention of packed clips on a CPU by a C++ kernel (`cpu_attention.cpp`)."""

import ctypes
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.layers.kernels.biases import RelativeBias, RelativeKeyBias
from sonant.layers.kernels.compiled import compiled


class _Strides(ctypes.Structure):
    """Strides of rows and heads, in values."""

    _fields_ = (("row", ctypes.c_int64), ("head", ctypes.c_int64))


class _Call(ctypes.Structure):
    """`Call` in the C++ source, field by field."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("query", "key", "value", "result")),
        *((name, _Strides) for name in ("queries", "keys", "values")),
        *((name, ctypes.c_int64) for name in ("heads", "head_dim", "kind")),
        *((name, ctypes.c_void_p) for name in ("line", "gate")),
        *((name, _Strides) for name in ("lines", "gates")),
        *((name, ctypes.c_int64) for name in ("reach", "left", "right")),
    )


def attend_cpu(
    query: Tensor, key: Tensor, value: Tensor, lengths: list[int], bias: RelativeBias | RelativeKeyBias | None
) -> Tensor | None:
    """Softmax attention of each clip to itself, without gradients; memory grows with the length.

    Args:
        query, key, value: (total, heads, head_dim), float32 or bfloat16, all of one dtype; rows and heads may be
            strided, as slices of one matrix product are.
        lengths: frames of each clip.
        bias: of the logits, converted to float32.

    Returns:
        (total, heads, head_dim), of the same dtype, accumulated in float32. None where the kernel is not available or
        does not support these tensors.
    """
    if not lengths or not _served(query, key, value, lengths, bias) or (library := compiled("cpu_attention")) is None:
        return None
    result = torch.empty_like(query, memory_format=torch.contiguous_format)
    call = _Call(
        *(x.data_ptr() for x in (query, key, value, result)),
        *(_strides(x) for x in (query, key, value)),
        *query.shape[1:],
    )
    match bias:
        case RelativeBias(table=table, gate=gate):
            # The last queries of a tile read beyond the end of the table.
            table, gate = F.pad(table.float(), (0, library.sonant_attention_margin())), gate.float()
            call.kind, call.line, call.lines = 1, table.data_ptr(), _Strides(0, table.stride(0))
            call.gate, call.gates, call.reach = gate.data_ptr(), _strides(gate), (bias.table.shape[1] + 1) // 2
        case RelativeKeyBias(scores=scores, left=left):
            scores = scores.float().contiguous()
            call.kind, call.line, call.lines = 2, scores.data_ptr(), _strides(scores)
            call.left, call.right = left, scores.shape[2] - 1 - left
    clips = (ctypes.c_int64 * len(lengths))(*lengths)
    run = library.sonant_attention_float32 if query.dtype == torch.float32 else library.sonant_attention_bfloat16
    run(ctypes.byref(call), clips, ctypes.c_int64(len(clips)), ctypes.c_int64(torch.get_num_threads()))
    return result


def _served(
    query: Tensor, key: Tensor, value: Tensor, lengths: list[int], bias: RelativeBias | RelativeKeyBias | None
) -> bool:
    """Return whether the kernel, which checks nothing itself, supports these inputs."""
    total, heads = query.shape[:2]
    match bias:
        case RelativeBias(table=table, gate=gate):
            of_bias = [table, gate]
            fits = gate.shape == (total, heads) and len(table) == heads and table.shape[1] >= 2 * max(lengths) - 1
        case RelativeKeyBias(scores=scores, left=left):
            of_bias = [scores]
            fits = scores.shape[:2] == (total, heads) and 0 <= left < scores.shape[2]
        case None:
            of_bias = []
            fits = query.dtype == torch.float32 or not _multiplies_tiles()
    return (
        fits
        and query.dtype in {torch.float32, torch.bfloat16}
        and sum(lengths) == total
        and min(lengths) >= 0
        and all(x.dtype == query.dtype and x.shape == query.shape and x.stride(2) == 1 for x in (query, key, value))
        and all(type(x) in {Tensor, nn.Parameter} and x.device.type == "cpu" for x in (query, key, value, *of_bias))
    )


@cache
def _multiplies_tiles() -> bool:
    """Return whether the processor has AMX, which attention of torch in bfloat16 uses and this kernel does not."""
    return getattr(torch.cpu, "_is_amx_tile_supported", bool)()


def _strides(x: Tensor) -> _Strides:
    return _Strides(x.stride(0), x.stride(1))
